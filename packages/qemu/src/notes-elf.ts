import {
  EI_CLASS,
  EI_DATA,
  ELF_MAGIC,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_386,
  Elf64_Ehdr,
  type Elf64Ehdr,
  Elf64_Phdr,
  type Elf64Phdr,
  Elf64_Shdr,
  LayoutError,
  NT_PRSTATUS,
  PN_XNUM,
  PT_NOTE,
  readElfNotes,
  toSafeNumber,
  viewAt,
} from '@ullage/layout'
import { QemuError } from './qemu-error.ts'

/** What the ELF file of a one-frame dump tells: its machine and its notes. */
export interface NotesElf {
  /** e_machine: 62 x86-64, 183 aarch64; 3 (i386) while an x86 guest's first CPU is not in long mode. */
  readonly machine: number
  /**
   * The PT_NOTE segments, concatenated: Elf64_Nhdr, names and descriptions padded to 4 bytes. Empty for machine 3, whose
   * notes hold 32-bit registers, which no 64-bit core can carry.
   */
  readonly elfNotes: Uint8Array
  /** Number of NT_PRSTATUS notes: one for each virtual CPU. */
  readonly cpus: number
}

const MAX_PROGRAM_HEADERS = 65_536
/** Thousands of vCPUs need about 1 KiB each, and VMCOREINFO is at most 1 MiB in QEMU. */
const MAX_NOTES_BYTES = 64 * 1024 * 1024
const NOTE_ALIGN = 4

/**
 * Reads the notes of the 64-bit little-endian ELF core in `file`. Program headers are looked for where e_phoff says: QEMU
 * puts them behind its section headers. Throws BAD_NOTES, naming `where`.
 */
export function readNotesElf(file: Uint8Array, where: string): NotesElf {
  try {
    return readNotes(file)
  } catch (cause) {
    if (!(cause instanceof LayoutError)) throw cause
    throw new QemuError('BAD_NOTES', `expected an elf core with notes in ${where}, found: ${cause.message}`, { cause })
  }
}

function readNotes(file: Uint8Array): NotesElf {
  const magic = viewAt(file, 0, 4, 'the magic of an elf file').getUint32(0, true)
  if (magic !== ELF_MAGIC) throw new LayoutError('another magic')
  const header = Elf64_Ehdr.read(file)
  const { e_machine: machine, e_ident: ident } = header
  if (ident[EI_DATA] !== ELFDATA2LSB) throw new LayoutError('an elf that is not little-endian')
  // e_machine stands at the same place in 32-bit ELF, which QEMU writes for such a guest.
  if (machine === EM_386) return { machine, elfNotes: new Uint8Array(0), cpus: 0 }
  if (ident[EI_CLASS] !== ELFCLASS64) throw new LayoutError('an elf that is not 64-bit')
  const elfNotes = noteSegments(file, header)
  let cpus = 0
  for (const note of readElfNotes(elfNotes)) if (note.name === 'CORE' && note.type === NT_PRSTATUS) cpus++
  return { machine, elfNotes, cpus }
}

function noteSegments(file: Uint8Array, header: Elf64Ehdr): Uint8Array {
  const segments: Uint8Array[] = []
  let size = 0
  for (const { p_type, p_offset, p_filesz } of programHeaders(file, header)) {
    if (p_type !== PT_NOTE) continue
    const start = toSafeNumber(p_offset, 'p_offset of the notes')
    const bytes = toSafeNumber(p_filesz, 'p_filesz of the notes')
    if (bytes > MAX_NOTES_BYTES - size) throw new LayoutError(`more than ${MAX_NOTES_BYTES} bytes of notes`)
    const view = viewAt(file, start, bytes, 'the notes')
    segments.push(new Uint8Array(view.buffer, view.byteOffset, bytes))
    // The next one must begin at a multiple of four; a writer need not pad its last note.
    segments.push(new Uint8Array(-bytes & (NOTE_ALIGN - 1)))
    size += bytes
  }
  return new Uint8Array(Buffer.concat(segments))
}

function* programHeaders(file: Uint8Array, header: Elf64Ehdr): Generator<Elf64Phdr> {
  const start = toSafeNumber(header.e_phoff, 'e_phoff')
  const count = headerCount(file, header)
  for (let i = 0; i < count; i++) yield Elf64_Phdr.read(file, start + i * Elf64_Phdr.size)
}

function headerCount(file: Uint8Array, header: Elf64Ehdr): number {
  if (header.e_phnum !== PN_XNUM) return header.e_phnum
  const { sh_info: count } = Elf64_Shdr.read(file, toSafeNumber(header.e_shoff, 'e_shoff'))
  if (count > MAX_PROGRAM_HEADERS) throw new LayoutError(`${count} program headers`)
  return count
}
