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

/** Ref: elf(5). Offsets in Elf64_Ehdr (64 bytes), Elf64_Phdr (56 bytes) and Elf64_Nhdr (12 bytes). */
const EHDR_BYTES = 64
const PHDR_BYTES = 56
const NHDR_BYTES = 12
const EM_386 = 3
const PT_NOTE = 4
const NT_PRSTATUS = 1
const PN_XNUM = 0xffff
const MAX_PROGRAM_HEADERS = 65_536
/** Thousands of vCPUs need about 1 KiB each, and VMCOREINFO is at most 1 MiB in QEMU. */
const MAX_NOTES_BYTES = 64 * 1024 * 1024

/**
 * Reads the notes of the 64-bit little-endian ELF core in `file`. Program headers are looked for where e_phoff says: QEMU
 * puts them behind its section headers. Throws BAD_NOTES, naming `where`.
 */
export function readNotesElf(file: Uint8Array, where: string): NotesElf {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const bad = (found: string): QemuError =>
    new QemuError('BAD_NOTES', `expected an elf core with notes in ${where}, found ${found}`)
  if (file.length < EHDR_BYTES) throw bad(`${file.length} bytes`)
  if (view.getUint32(0) !== 0x7f45_4c46) throw bad('another magic')
  const machine = view.getUint16(18, true)
  if (machine === EM_386 && file[5] === 1) return { machine, elfNotes: new Uint8Array(0), cpus: 0 }
  if (file[4] !== 2 || file[5] !== 1) throw bad('an elf that is not 64-bit little-endian')
  const count = headerCount(view, bad)
  const at = offset(view, 32, bad)
  if (at + count * PHDR_BYTES > file.length)
    throw bad(`${count} program headers at ${at}, beyond its ${file.length} bytes`)
  const segments: Uint8Array[] = []
  let size = 0
  for (let i = 0; i < count; i++) {
    const header = at + i * PHDR_BYTES
    if (view.getUint32(header, true) !== PT_NOTE) continue
    const start = offset(view, header + 8, bad)
    const bytes = offset(view, header + 32, bad)
    if (start + bytes > file.length) throw bad(`${bytes} bytes of notes at ${start}, beyond its ${file.length} bytes`)
    size += bytes
    if (size > MAX_NOTES_BYTES) throw bad(`more than ${MAX_NOTES_BYTES} bytes of notes`)
    segments.push(file.subarray(start, start + bytes))
  }
  const elfNotes = new Uint8Array(Buffer.concat(segments))
  return { machine, elfNotes, cpus: countCpus(elfNotes, bad) }
}

function headerCount(view: DataView, bad: (found: string) => QemuError): number {
  const count = view.getUint16(56, true)
  if (count !== PN_XNUM) return count
  // The true count is sh_info of section header 0.
  const section = offset(view, 40, bad)
  if (section + 64 > view.byteLength) throw bad(`section headers at ${section}, beyond its ${view.byteLength} bytes`)
  const extended = view.getUint32(section + 44, true)
  if (extended > MAX_PROGRAM_HEADERS) throw bad(`${extended} program headers`)
  return extended
}

function countCpus(notes: Uint8Array, bad: (found: string) => QemuError): number {
  const view = new DataView(notes.buffer, notes.byteOffset, notes.byteLength)
  let cpus = 0
  for (let at = 0; at < notes.length; ) {
    if (at + NHDR_BYTES > notes.length) throw bad(`a note header cut off at byte ${at} of its notes`)
    const nameBytes = view.getUint32(at, true)
    const descBytes = view.getUint32(at + 4, true)
    const name = at + NHDR_BYTES
    const end = name + padded(nameBytes) + padded(descBytes)
    if (end > notes.length) throw bad(`a note at byte ${at} that leaves its ${notes.length} bytes of notes`)
    const isCore = nameBytes === 5 && Buffer.from(notes.subarray(name, name + 4)).toString('latin1') === 'CORE'
    if (isCore && view.getUint32(at + 8, true) === NT_PRSTATUS) cpus++
    at = end
  }
  return cpus
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4
}

function offset(view: DataView, at: number, bad: (found: string) => QemuError): number {
  const value = view.getBigUint64(at, true)
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw bad(`the offset 0x${value.toString(16)}`)
  return Number(value)
}
