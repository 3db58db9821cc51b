import { EM_386, EM_AARCH64, EM_X86_64, Elf64_Ehdr, Elf64_Phdr } from '@ullage/layout'
import { type ByteSource, readBytes } from './byte-source.ts'
import { joined, locateFrame, presentRuns, type StoredRun, storedRuns } from './elf-frames.ts'
import { checkElfHeader, countProgramHeaders, elfSectionsEnd, readElfSegments } from './elf-segments.ts'
import { notStored } from './kdump-reader.ts'
import { countCpuNotes, findVmcoreinfo } from './notes-text.ts'
import { MAX_PAGE_BYTES, MIN_PAGE_BYTES } from './page-count.ts'
import { tablePages } from './page-table.ts'
import type { StoredPages, VmcoreTables } from './vmcore.ts'

const machines: Readonly<Record<number, string>> = {
  [EM_X86_64]: 'x86_64',
  [EM_AARCH64]: 'aarch64',
  // QEMU writes this for an x86-64 guest whose first CPU is not in long mode.
  [EM_386]: 'i386',
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
  checkElfHeader(header)
  const headers = await countProgramHeaders(bytes, header)
  const tableEnd = Number(header.e_phoff) + headers * Elf64_Phdr.size
  const { content, memory, elfNotes, notesEnd } = await readElfSegments(bytes, header, headers, signal)

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
      headersEnd: Math.max(tableEnd, notesEnd, await elfSectionsEnd(bytes, header)),
    },
    async *present() {
      yield* joined(presentRuns(memory, pageBytes))
    },
    async *stored() {
      yield* joined(stored())
    },
    async frameState(pfn) {
      if (locateFrame(content, pageBytes, pfn) !== undefined) return 'stored'
      const index = memory.find(pfn * pageBytes)
      return index < memory.count && memory.at(index).start < (pfn + 1) * pageBytes ? 'excluded' : 'hole'
    },
    async locate(pfn) {
      const position = locateFrame(content, pageBytes, pfn)
      if (position === undefined) throw notStored(pfn, await tables.frameState(pfn))
      return { pfn, position, size: pageBytes, flags: 0 }
    },
    // Program headers say it all, and they were checked: a segment has no more content than memory.
    async checkTables() {
      let present = 0
      for (const run of presentRuns(memory, pageBytes)) present += run.count
      return present - storedFrames
    },
    storedPages: (options) => placedPages(stored(), pageBytes, options?.signal),
  }
  return tables
}

/** VMCOREINFO says how large a page is; without one it is 4 KiB, as on every x86-64 machine. */
function pageBytesOf(vmcoreinfo: string | undefined): number {
  const said = Number(/^PAGESIZE=(\d+)$/m.exec(vmcoreinfo ?? '')?.[1] ?? MIN_PAGE_BYTES)
  return said >= MIN_PAGE_BYTES && said <= MAX_PAGE_BYTES && Math.log2(said) % 1 === 0 ? said : MIN_PAGE_BYTES
}

async function* placedPages(
  runs: Iterable<StoredRun>,
  pageBytes: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoredPages> {
  const atOnce = tablePages(pageBytes)
  const pfns = new Float64Array(atOnce)
  const positions = new Float64Array(atOnce)
  let filled = 0
  const take = (): StoredPages => {
    const count = filled
    filled = 0
    return {
      count,
      pfns: pfns.slice(0, count),
      positions: positions.slice(0, count),
      sizes: new Uint32Array(count).fill(pageBytes),
      flags: new Uint32Array(count),
    }
  }
  for (const run of runs) {
    for (let i = 0; i < run.count; i++) {
      pfns[filled] = run.start + i
      positions[filled] = run.position + i * pageBytes
      if (++filled === atOnce) {
        signal?.throwIfAborted()
        yield take()
      }
    }
  }
  if (filled > 0) yield take()
}
