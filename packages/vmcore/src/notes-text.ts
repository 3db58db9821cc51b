import { findElfNote, LayoutError, NT_PRSTATUS, readElfNotes } from '@ullage/layout'
import { type ByteSource, readBytes } from './byte-source.ts'
import { VmcoreError } from './vmcore-error.ts'

/** Largest notes of a file that are read: 1024 CPUs have less than 1 MiB. */
const MAX_NOTES_BYTES = 64 << 20

/**
 * Notes at `position`, of a file of which `readBefore` bytes of notes were read already. Throws VmcoreError when they are
 * absurdly large or outside the file.
 */
export async function readNotes(
  source: ByteSource,
  position: bigint,
  sizeBytes: bigint,
  readBefore = 0,
): Promise<Uint8Array> {
  if (sizeBytes > BigInt(MAX_NOTES_BYTES - readBefore)) {
    throw new VmcoreError(
      'CORRUPT',
      `the notes claim ${sizeBytes} bytes, more than ${MAX_NOTES_BYTES} are not believed`,
    )
  }
  if (sizeBytes === 0n) return new Uint8Array(0)
  if (position < 0n || position > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new VmcoreError('CORRUPT', `the notes cannot be at offset ${position}`)
  }
  return await readBytes(source, Number(position), Number(sizeBytes), 'the ELF notes')
}

/** Text of the VMCOREINFO note. Throws VmcoreError CORRUPT when the notes are broken. */
export function findVmcoreinfo(elfNotes: Uint8Array): string | undefined {
  return checked(() => {
    const note = findElfNote(elfNotes, 'VMCOREINFO')
    return note && toText(note.desc)
  })
}

/** Number of CPUs with a register note. Throws VmcoreError CORRUPT when the notes are broken. */
export function countCpuNotes(elfNotes: Uint8Array): number {
  return checked(() => {
    let cpus = 0
    for (const { name, type } of readElfNotes(elfNotes)) if (name === 'CORE' && type === NT_PRSTATUS) cpus++
    return cpus
  })
}

/** VMCOREINFO as text, without the zeros that may follow it. Read as Latin-1, so that no byte is lost. */
export function toText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return new TextDecoder('latin1').decode(end === -1 ? bytes : bytes.subarray(0, end))
}

function checked<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof LayoutError)) throw cause
    throw new VmcoreError('CORRUPT', cause.message, { cause })
  }
}
