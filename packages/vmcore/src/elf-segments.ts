import {
  EI_CLASS,
  EI_DATA,
  ELFCLASS64,
  ELFDATA2LSB,
  ET_CORE,
  Elf64_Ehdr,
  type Elf64Ehdr,
  Elf64_Phdr,
  type Elf64Phdr,
  Elf64_Shdr,
  PN_XNUM,
  PT_LOAD,
  PT_NOTE,
} from '@ullage/layout'
import { type ByteSource, readBytes } from './byte-source.ts'
import { checkFileRanges } from './check-file-ranges.ts'
import { ExtentList, ExtentMap } from './extent-map.ts'
import { checkInside } from './check-inside.ts'
import { MAX_PFN } from './kdump-info.ts'
import { readNotes } from './notes-text.ts'
import { VmcoreError } from './vmcore-error.ts'

/** 16 Mi segments: 896 MiB of program headers, 768 MiB of index. */
const MAX_SEGMENTS = 1 << 24
const SEGMENTS_PER_READ = 16_384
const MAX_ADDRESS = BigInt(MAX_PFN) * 4096n
const NO_ADDRESS = 0xffff_ffff_ffff_ffffn
const SHT_NOBITS = 8

/** What the program headers of a vmcore say. */
export interface ElfSegments {
  /** Bytes of guest memory and where they stand in the file. */
  readonly content: ExtentMap
  /** The same with what a segment leaves out of the file. */
  readonly memory: ExtentMap
  readonly elfNotes: Uint8Array
  /** First byte after the notes. */
  readonly notesEnd: number
}

/** Throws VmcoreError unless this is the header of a 64-bit little-endian core with program headers. */
export function checkElfHeader(header: Elf64Ehdr): void {
  if (header.e_ident[EI_DATA] !== ELFDATA2LSB) throw new VmcoreError('UNSUPPORTED', 'a big-endian ELF file')
  if (header.e_ident[EI_CLASS] !== ELFCLASS64) throw new VmcoreError('UNSUPPORTED', 'a 32-bit ELF file')
  if (header.e_type !== ET_CORE) {
    throw new VmcoreError('NOT_A_VMCORE', `an ELF file of type ${header.e_type}, not a core (${ET_CORE})`)
  }
  if (header.e_phnum === 0) {
    throw new VmcoreError(
      'UNSUPPORTED',
      'an ELF core without program headers, as Xen writes it; only vmcores are handled',
    )
  }
  if (header.e_phentsize !== Elf64_Phdr.size) {
    throw new VmcoreError(
      'CORRUPT',
      `e_phentsize is ${header.e_phentsize}, a program header has ${Elf64_Phdr.size} bytes`,
    )
  }
  if (header.e_phoff < BigInt(Elf64_Ehdr.size) || header.e_phoff > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new VmcoreError('CORRUPT', `program headers cannot be at offset ${header.e_phoff}`)
  }
}

/** Number of program headers, all of them inside the file. Ref: elf(5), PN_XNUM. */
export async function countProgramHeaders(bytes: ByteSource, header: Elf64Ehdr): Promise<number> {
  let count = header.e_phnum
  if (count === PN_XNUM) {
    if (header.e_shoff === 0n || header.e_shoff > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new VmcoreError(
        'CORRUPT',
        `e_phnum refers to section header 0, which cannot be at offset ${header.e_shoff}`,
      )
    }
    count = Elf64_Shdr.read(await readBytes(bytes, Number(header.e_shoff), Elf64_Shdr.size, 'section header 0')).sh_info
  }
  checkInside(bytes.sizeBytes, count * Elf64_Phdr.size, Number(header.e_phoff), `the table of ${count} program headers`)
  if (count > MAX_SEGMENTS) {
    throw new VmcoreError('UNSUPPORTED', `${count} program headers, more than ${MAX_SEGMENTS} are not handled`)
  }
  return count
}

/** Reads the `count` program headers that `header` speaks of, and all notes. Where segments overlap the first one holds. Throws VmcoreError. */
export async function readElfSegments(
  bytes: ByteSource,
  header: Elf64Ehdr,
  count: number,
  signal: AbortSignal | undefined,
): Promise<ElfSegments> {
  const content = new ExtentList()
  const memory = new ExtentList()
  const position = Number(header.e_phoff)
  const notes: Uint8Array[] = []
  const notesInFile = new ExtentList()
  let notesBytes = 0
  let notesEnd = 0
  let loads = 0
  let placed = 0
  for (let first = 0; first < count; first += SEGMENTS_PER_READ) {
    signal?.throwIfAborted()
    const inRead = Math.min(SEGMENTS_PER_READ, count - first)
    const at = position + first * Elf64_Phdr.size
    const table = await readBytes(bytes, at, inRead * Elf64_Phdr.size, 'program headers')
    for (let i = 0; i < inRead; i++) {
      const segment = Elf64_Phdr.read(table, i * Elf64_Phdr.size)
      if (segment.p_type === PT_NOTE) {
        const blob = await readNotes(bytes, segment.p_offset, segment.p_filesz, notesBytes)
        notes.push(blob)
        notesBytes += blob.length
        notesInFile.add(Number(segment.p_offset), blob.length, Number(segment.p_offset))
        notesEnd = Math.max(notesEnd, Number(segment.p_offset) + blob.length)
      }
      if (segment.p_type !== PT_LOAD || segment.p_paddr === NO_ADDRESS) continue
      loads++
      if (segment.p_paddr !== 0n) placed++
      addSegment(segment, first + i, bytes, content, memory)
    }
  }
  if (loads > 1 && placed === 0) {
    throw new VmcoreError('NOT_A_VMCORE', `the core of a process: none of its ${loads} segments has a physical address`)
  }
  checkFileRanges(header, count, content, notesInFile)
  return {
    content: ExtentMap.of(content, 'first'),
    memory: ExtentMap.of(memory, 'first'),
    elfNotes: Uint8Array.from(Buffer.concat(notes)),
    notesEnd,
  }
}

function addSegment(
  segment: Elf64Phdr,
  index: number,
  bytes: ByteSource,
  content: ExtentList,
  memory: ExtentList,
): void {
  const { p_paddr, p_memsz, p_filesz, p_offset } = segment
  if (p_paddr + p_memsz > MAX_ADDRESS) {
    throw new VmcoreError(
      'CORRUPT',
      `segment ${index} has ${p_memsz} bytes at 0x${p_paddr.toString(16)}, beyond 52 bits`,
    )
  }
  memory.add(Number(p_paddr), Number(p_memsz), Number(p_paddr))
  if (p_filesz === 0n) return
  if (p_offset > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new VmcoreError('CORRUPT', `segment ${index} cannot be at offset ${p_offset}`)
  }
  checkInside(bytes.sizeBytes, Number(p_filesz), Number(p_offset), `segment ${index}`)
  if (p_memsz < p_filesz) {
    throw new VmcoreError(
      'CORRUPT',
      `segment ${index} has ${p_filesz} bytes at offset ${p_offset} for ${p_memsz} bytes of memory, expected no more`,
    )
  }
  content.add(Number(p_paddr), Number(p_filesz), Number(p_offset))
}

/** First byte after all sections, as far as they can be read; QEMU puts some behind the memory. */
export async function elfSectionsEnd(bytes: ByteSource, header: Elf64Ehdr): Promise<number> {
  const end = Number(header.e_shoff) + header.e_shnum * Elf64_Shdr.size
  if (header.e_shnum === 0 || header.e_shentsize !== Elf64_Shdr.size || end > bytes.sizeBytes) return 0
  const table = await readBytes(bytes, Number(header.e_shoff), header.e_shnum * Elf64_Shdr.size, 'section headers')
  let last = end
  for (let i = 0; i < header.e_shnum; i++) {
    const { sh_type, sh_offset, sh_size } = Elf64_Shdr.read(table, i * Elf64_Shdr.size)
    const sectionEnd = sh_offset + sh_size
    if (sh_type !== SHT_NOBITS && sectionEnd <= BigInt(bytes.sizeBytes)) last = Math.max(last, Number(sectionEnd))
  }
  return last
}
