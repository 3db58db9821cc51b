import { encodeElfNote, readElfNotes } from '@ullage/layout'

const NAME = 'VMCOREINFO'

/**
 * The notes with the VMCOREINFO that was checked against the guest's memory, so that readers use the same: one found by
 * scanning is added, one that turned out wrong is replaced. CPU notes stay as they are.
 */
export function withVmcoreinfo(elfNotes: Uint8Array, text: string): Uint8Array {
  const wanted = new TextEncoder().encode(text)
  const kept: Uint8Array[] = []
  let at = 0
  for (const note of readElfNotes(elfNotes)) {
    const end = Math.min(elfNotes.length, Math.ceil((note.descPosition + note.desc.length) / 4) * 4)
    if (note.name !== NAME) kept.push(elfNotes.subarray(at, end))
    else if (Buffer.compare(note.desc, wanted) === 0) return elfNotes
    at = end
  }
  return Buffer.concat([...kept, encodeElfNote(NAME, 0, wanted)])
}
