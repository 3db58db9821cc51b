import {
  EI_CLASS,
  EI_DATA,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_386,
  EM_AARCH64,
  EM_X86_64,
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
import type { PfnRange } from '@ullage/pages'
import { type ByteSource, readBytes } from './byte-source.ts'
import { ExtentList, ExtentMap } from './extent-map.ts'
import { checkInside } from './file-source.ts'
import { MAX_PFN } from './kdump-info.ts'
import { notStored } from './kdump-reader.ts'
import { countCpuNotes, findVmcoreinfo, readNotes } from './notes-text.ts'
import { MAX_PAGE_BYTES, MIN_PAGE_BYTES } from './page-count.ts'
import type { StoredPages, VmcoreTables } from './vmcore.ts'
import { VmcoreError } from './vmcore-error.ts'

const BATCH_PAGES = 16_384
/** 16 Mi segments: 896 MiB of program headers, 768 MiB of index. */
const MAX_SEGMENTS = 1 << 24
const SEGMENTS_PER_READ = 16_384
const MAX_ADDRESS = BigInt(MAX_PFN) * 4096n
const NO_ADDRESS = 0xffff_ffff_ffff_ffffn
const SHT_NOBITS = 8

const machines: Readonly<Record<number, string>> = {
  [EM_X86_64]: 'x86_64',
  [EM_AARCH64]: 'aarch64',
  // QEMU writes this for an x86-64 guest whose first CPU is not in long mode.
  [EM_386]: 'i386',
}

interface Segments {
  /** Bytes of guest memory and where they stand in the file. */
  readonly content: ExtentMap
  /** The same with what a segment leaves out of the file. */
  readonly memory: ExtentMap
  readonly elfNotes: Uint8Array
  /** First byte after the notes. */
  readonly notesEnd: number
}

/**
 * Opens an ELF vmcore, wherever its program headers stand. Where segments overlap the first one holds, as in other
 * readers. Throws VmcoreError; NOT_A_VMCORE for ELF files that are no core and for cores of processes.
 */
export async function openElf(
  bytes: ByteSource,
  flattened: boolean,
  signal: AbortSignal | undefined,
): Promise<VmcoreTables> {
  const header = Elf64_Ehdr.read(await readBytes(bytes, 0, Elf64_Ehdr.size, 'Elf64_Ehdr'))
  checkHeader(header)
  const headers = await countProgramHeaders(bytes, header)
  const tableEnd = Number(header.e_phoff) + headers * Elf64_Phdr.size
  const { content, memory, elfNotes, notesEnd } = await readSegments(bytes, Number(header.e_phoff), headers, signal)

  const vmcoreinfo = findVmcoreinfo(elfNotes)
  const pageBytes = pageBytesOf(vmcoreinfo)
  const stored = (): Iterable<StoredRun> => storedRuns(content, pageBytes)
  let storedFrames = 0
  for (const run of stored()) storedFrames += run.count

  const tables: VmcoreTables = {
    bytes,
    info: {
      format: 'elf',
      flattened,
      machine: machines[header.e_machine] ?? `ELF machine ${header.e_machine}`,
      pageBytes,
      uname: undefined,
      timestamp: undefined,
      dumpLevel: undefined,
      compression: 'none',
      physBase: undefined,
      cpus: countCpuNotes(elfNotes),
      maxPfn: Math.ceil(memory.end / pageBytes),
      storedFrames,
      elfNotes,
      vmcoreinfo,
      // Ref: makedumpfile makedumpfile.c, write_elf_header: e_flags of a dump that was cut short.
      incomplete: (header.e_flags & 1) !== 0,
      dataStart: Elf64_Ehdr.size,
      headersEnd: Math.max(tableEnd, notesEnd, await sectionsEnd(bytes, header)),
    },
    async *present() {
      yield* joined(presentRuns(memory, pageBytes))
    },
    async *stored() {
      yield* joined(stored())
    },
    async frameState(pfn) {
      if (locate(content, pageBytes, pfn) !== undefined) return 'stored'
      const index = memory.find(pfn * pageBytes)
      return index < memory.count && memory.at(index).start < (pfn + 1) * pageBytes ? 'excluded' : 'hole'
    },
    async locate(pfn) {
      const position = locate(content, pageBytes, pfn)
      if (position === undefined) throw notStored(pfn, await tables.frameState(pfn))
      return { pfn, position, size: pageBytes, flags: 0 }
    },
    // Program headers say it all, and they were checked.
    checkTables: async () => undefined,
    storedPages: (options) => batches(stored(), pageBytes, options?.signal),
  }
  return tables
}

function checkHeader(header: Elf64Ehdr): void {
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

/** Ref: elf(5), PN_XNUM. */
async function countProgramHeaders(bytes: ByteSource, header: Elf64Ehdr): Promise<number> {
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

async function readSegments(
  bytes: ByteSource,
  position: number,
  count: number,
  signal: AbortSignal | undefined,
): Promise<Segments> {
  const content = new ExtentList()
  const memory = new ExtentList()
  const notes: Uint8Array[] = []
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
  const size = p_filesz > p_memsz ? p_filesz : p_memsz
  if (p_paddr + size > MAX_ADDRESS) {
    throw new VmcoreError('CORRUPT', `segment ${index} has ${size} bytes at 0x${p_paddr.toString(16)}, beyond 52 bits`)
  }
  memory.add(Number(p_paddr), Number(size), Number(p_paddr))
  if (p_filesz === 0n) return
  if (p_offset > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new VmcoreError('CORRUPT', `segment ${index} cannot be at offset ${p_offset}`)
  }
  checkInside(bytes.sizeBytes, Number(p_filesz), Number(p_offset), `segment ${index}`)
  content.add(Number(p_paddr), Number(p_filesz), Number(p_offset))
}

/** VMCOREINFO says how large a page is; without one it is 4 KiB, as on every x86-64 machine. */
function pageBytesOf(vmcoreinfo: string | undefined): number {
  const said = Number(/^PAGESIZE=(\d+)$/m.exec(vmcoreinfo ?? '')?.[1] ?? MIN_PAGE_BYTES)
  return said >= MIN_PAGE_BYTES && said <= MAX_PAGE_BYTES && Math.log2(said) % 1 === 0 ? said : MIN_PAGE_BYTES
}

interface StoredRun extends PfnRange {
  readonly position: number
}

/** Whole frames that stand in one piece in the file. */
function* storedRuns(content: ExtentMap, pageBytes: number): Generator<StoredRun> {
  for (let i = 0; i < content.count; i++) {
    const { start, length, position } = content.at(i)
    const first = Math.ceil(start / pageBytes)
    const end = Math.floor((start + length) / pageBytes)
    if (end > first) yield { start: first, count: end - first, position: position + first * pageBytes - start }
  }
}

function* presentRuns(memory: ExtentMap, pageBytes: number): Generator<PfnRange> {
  let done = 0
  for (let i = 0; i < memory.count; i++) {
    const { start, length } = memory.at(i)
    const first = Math.max(done, Math.floor(start / pageBytes))
    const end = Math.ceil((start + length) / pageBytes)
    if (end > first) yield { start: first, count: end - first }
    done = Math.max(done, end)
  }
}

/** Ascending, disjoint runs with neighbours that touch made one. */
function* joined(runs: Iterable<PfnRange>): Generator<PfnRange> {
  let open: { start: number; count: number } | undefined
  for (const { start, count } of runs) {
    if (open && open.start + open.count === start) {
      open.count += count
      continue
    }
    if (open) yield open
    open = { start, count }
  }
  if (open) yield open
}

function locate(content: ExtentMap, pageBytes: number, pfn: number): number | undefined {
  const address = pfn * pageBytes
  const index = content.find(address)
  if (index >= content.count) return undefined
  const { start, length, position } = content.at(index)
  return start <= address && start + length >= address + pageBytes ? position + address - start : undefined
}

async function* batches(
  runs: Iterable<StoredRun>,
  pageBytes: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoredPages> {
  const take = (pfns: number[], positions: number[]): StoredPages => ({
    count: pfns.length,
    pfns: Float64Array.from(pfns),
    positions: Float64Array.from(positions),
    sizes: new Uint32Array(pfns.length).fill(pageBytes),
    flags: new Uint32Array(pfns.length),
  })
  let pfns: number[] = []
  let positions: number[] = []
  for (const run of runs) {
    for (let i = 0; i < run.count; i++) {
      pfns.push(run.start + i)
      positions.push(run.position + i * pageBytes)
      if (pfns.length === BATCH_PAGES) {
        signal?.throwIfAborted()
        yield take(pfns, positions)
        pfns = []
        positions = []
      }
    }
  }
  if (pfns.length > 0) yield take(pfns, positions)
}

/** First byte after all sections, as far as they can be read; QEMU puts some behind the memory. */
async function sectionsEnd(bytes: ByteSource, header: Elf64Ehdr): Promise<number> {
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
