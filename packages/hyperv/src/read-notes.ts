import { type GuestIdentity, OfflineError } from '@ullage/offline-query'
import { EM_386, EM_X86_64 } from '@ullage/layout'
import { type NotesElf, readNotesElf } from '@ullage/qemu'
import { readBounded } from './read-bounded.ts'

const MAX_NOTES_BYTES = 256 * 1024 * 1024

/** The notes in the ELF core at `path`. Throws OfflineError: INVALID, or UNSUPPORTED for notes of another machine. */
export function readNotes(path: string): NotesElf & { readonly guest: GuestIdentity['machine'] } {
  const bytes = readBounded(path, { maxBytes: MAX_NOTES_BYTES, what: 'an elf core with notes' })
  const notes = parse(bytes, path)
  // QEMU writes notes of an i386 while the first CPU of an x86-64 guest is not in long mode.
  if (notes.machine === EM_X86_64 || notes.machine === EM_386) return { ...notes, guest: 'x86_64' }
  throw new OfflineError(
    'UNSUPPORTED',
    `expected notes of an x86-64 guest in ${path}, found elf machine ${notes.machine}`,
  )
}

function parse(bytes: Uint8Array, path: string): NotesElf {
  try {
    return readNotesElf(bytes, path)
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause
    throw new OfflineError('INVALID', cause.message, { cause })
  }
}
