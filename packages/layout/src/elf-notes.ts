import { Cursor } from './cursor.ts'
import { Elf64_Nhdr } from './elf-layout.ts'
import { LayoutError } from './layout-error.ts'

const NOTE_ALIGN = 4

/** One ELF note. Positions are byte offsets in the blob it was read from. */
export interface ElfNote {
  /** Without its final NUL: `CORE`, `VMCOREINFO`. */
  readonly name: string
  readonly type: number
  /** A view of the blob, not a copy. */
  readonly desc: Uint8Array
  readonly position: number
  readonly descPosition: number
}

/**
 * The notes of `blob`, which starts with an Elf64_Nhdr. A note without name, type and description ends them, as it does
 * in the kernel's own per-CPU notes, and so do zeros too few for a header. Throws LayoutError when a note leaves the blob.
 */
export function* readElfNotes(blob: Uint8Array): Generator<ElfNote> {
  const cursor = new Cursor(blob, 'ELF notes')
  while (cursor.left > 0) {
    const position = cursor.position
    if (cursor.left < Elf64_Nhdr.size && blob.subarray(position).every((byte) => byte === 0)) return
    const { n_namesz, n_descsz, n_type } = cursor.read(Elf64_Nhdr)
    if (n_namesz === 0 && n_descsz === 0 && n_type === 0) return
    const name = within(cursor, n_namesz, position, 'name')
    const descPosition = cursor.position
    const desc = within(cursor, n_descsz, position, 'description')
    yield { name: toText(name), type: n_type, desc, position, descPosition }
  }
}

/** The first note called `name`, or undefined. Throws LayoutError as `readElfNotes` does. */
export function findElfNote(blob: Uint8Array, name: string): ElfNote | undefined {
  for (const note of readElfNotes(blob)) {
    if (note.name === name) return note
  }
  return undefined
}

/** One note as it stands in a file: header, name with its NUL, description, both padded to 4 bytes. */
export function encodeElfNote(name: string, type: number, desc: Uint8Array): Uint8Array {
  const nameBytes = new TextEncoder().encode(`${name}\0`)
  const descPosition = Elf64_Nhdr.size + roundUp(nameBytes.length)
  const note = new Uint8Array(descPosition + roundUp(desc.length))
  Elf64_Nhdr.write(note, 0, { n_namesz: nameBytes.length, n_descsz: desc.length, n_type: type })
  note.set(nameBytes, Elf64_Nhdr.size)
  note.set(desc, descPosition)
  return note
}

function within(cursor: Cursor, size: number, note: number, part: string): Uint8Array {
  if (size > cursor.left) {
    throw new LayoutError(
      `${part} of the ELF note at offset ${note} needs ${size} bytes at offset ${cursor.position}, only ${cursor.left} are left`,
    )
  }
  const bytes = cursor.take(size)
  // The padding of the last note may be missing: makedumpfile and QEMU count it, other writers do not.
  cursor.skip(Math.min(roundUp(size) - size, cursor.left))
  return bytes
}

function toText(name: Uint8Array): string {
  const end = name.indexOf(0)
  return new TextDecoder('latin1').decode(end === -1 ? name : name.subarray(0, end))
}

function roundUp(size: number): number {
  return Math.ceil(size / NOTE_ALIGN) * NOTE_ALIGN
}
