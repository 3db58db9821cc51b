import { readSync } from 'node:fs'
import { type PageScan, scanPages } from '@ullage/native'
import { fromSystemError, HostMemoryError } from './host-memory-error.ts'

/** What /proc/PID/pagemap says of one host page, bits 63 to 61 (Linux Documentation/admin-guide/mm/pagemap.rst). */
export interface PageEntry {
  readonly present: boolean
  readonly swapped: boolean
  /** A page of a file or of shared anonymous memory, not a private one. */
  readonly ofFile: boolean
  /** True of the kernel's page of zeros, mapped by reading what was never written; false also where that is not told. */
  readonly zeroPage: boolean
}

const PRESENT = 0x8000_0000
const SWAPPED = 0x4000_0000
const OF_FILE = 0x2000_0000

const ENTRY_BYTES = 8
const BATCH_ENTRIES = 65_536

/** The three bits of a pagemap entry that matter here, of its upper 32 bits. */
export function decodePageEntry(upperWord: number): PageEntry {
  return {
    present: (upperWord & PRESENT) !== 0,
    swapped: (upperWord & SWAPPED) !== 0,
    ofFile: (upperWord & OF_FILE) !== 0,
    zeroPage: false,
  }
}

const noContent: PageEntry = { present: false, swapped: false, ofFile: false, zeroPage: false }

/** A run of host pages that pagemap says the same of; addresses in bytes. */
export interface PageRun extends PageEntry {
  readonly startBytes: number
  readonly endBytes: number
}

/** Reads the pagemap of one process in batches. It is indexed by the page size of the host, whatever the guest's is. */
export class PagemapReader {
  readonly #fd: number
  readonly #pageBytes: number
  readonly #about: string
  #scans: boolean
  readonly #bytes = new Uint8Array(BATCH_ENTRIES * ENTRY_BYTES)
  // Little endian, as every host that runs guests here: the upper word of entry i is word 2 i + 1.
  readonly #words = new Uint32Array(this.#bytes.buffer)

  /**
   * @param options.fd of /proc/PID/pagemap, open for reading; it stays the caller's.
   * @param options.scan false to do without PAGEMAP_SCAN even where the kernel has it.
   */
  constructor(options: { fd: number; pageBytes: number; about: string; scan?: boolean }) {
    this.#fd = options.fd
    this.#pageBytes = options.pageBytes
    this.#about = options.about
    this.#scans = options.scan ?? true
  }

  /**
   * The state of the pages that hold [startBytes, endBytes), found by PAGEMAP_SCAN where the kernel has it, which passes over
   * memory that was never touched and tells the page of zeros, else from the entries: gapless, ascending, clipped, but not
   * maximal runs. Throws HostMemoryError `GONE` when the process has ended.
   */
  *runs(startBytes: number, endBytes: number): Generator<PageRun> {
    const page = this.#pageBytes
    const last = Math.ceil(endBytes / page) * page
    let at = Math.floor(startBytes / page) * page
    while (this.#scans && at < last) {
      const scan = this.#scan(at, last)
      if (!scan) break
      for (const region of scan.regions) {
        yield* clipped(at, region.startBytes, noContent)
        yield* clipped(region.startBytes, region.endBytes, region)
        at = region.endBytes
      }
      yield* clipped(at, scan.endBytes, noContent)
      at = scan.endBytes
    }
    if (at < last) yield* this.entryRuns(Math.max(at, startBytes), endBytes)

    function* clipped(from: number, to: number, entry: PageEntry): Generator<PageRun> {
      const start = Math.max(from, startBytes)
      const end = Math.min(to, endBytes)
      if (start >= end) return
      const { present, swapped, ofFile, zeroPage } = entry
      yield { startBytes: start, endBytes: end, present, swapped, ofFile, zeroPage }
    }
  }

  /** The same from the entries alone, with one system call for a small range; the page of zeros is not told. */
  *entryRuns(startBytes: number, endBytes: number): Generator<PageRun> {
    const page = this.#pageBytes
    const last = Math.ceil(endBytes / page)
    for (let first = Math.floor(startBytes / page); first < last; ) {
      const count = Math.min(BATCH_ENTRIES, last - first)
      // The generator may be left alone between two runs, and another be started: what it yields is copied out first.
      const batch = this.#batch(first, count)
      for (const run of batch) {
        yield {
          ...decodePageEntry(run.bits),
          startBytes: Math.max(startBytes, (first + run.from) * page),
          endBytes: Math.min(endBytes, (first + run.to) * page),
        }
      }
      first += count
    }
  }

  #scan(startBytes: number, endBytes: number): PageScan | undefined {
    let scan: PageScan | undefined
    try {
      scan = scanPages(this.#fd, startBytes, endBytes)
    } catch (error) {
      throw fromSystemError(error, `cannot scan the pagemap of ${this.#about}`)
    }
    if (!scan) {
      this.#scans = false
      return undefined
    }
    if (scan.endBytes <= startBytes) throw new HostMemoryError('GONE', `${this.#about} has no memory to scan any more`)
    // Of a process that has ended a scan may say that it has no pages; its entries can no longer be read.
    this.#read(Math.floor(startBytes / this.#pageBytes), 1)
    return scan
  }

  #batch(first: number, count: number): { from: number; to: number; bits: number }[] {
    this.#read(first, count)
    const runs: { from: number; to: number; bits: number }[] = []
    let from = 0
    let bits = this.#upperBits(0)
    for (let i = 1; i < count; i++) {
      const next = this.#upperBits(i)
      if (next === bits) continue
      runs.push({ from, to: i, bits })
      from = i
      bits = next
    }
    runs.push({ from, to: count, bits })
    return runs
  }

  #upperBits(entry: number): number {
    return (this.#words[2 * entry + 1] as number) & (PRESENT | SWAPPED | OF_FILE)
  }

  #read(first: number, count: number): void {
    let done = 0
    while (done < count * ENTRY_BYTES) {
      const bytes = this.#readChunk(done, count * ENTRY_BYTES - done, first * ENTRY_BYTES + done)
      if (bytes === 0) throw new HostMemoryError('GONE', `${this.#about} has ended: its pagemap is empty`)
      done += bytes
    }
  }

  #readChunk(offset: number, length: number, position: number): number {
    try {
      return readSync(this.#fd, this.#bytes, offset, length, position)
    } catch (error) {
      throw fromSystemError(error, `cannot read the pagemap of ${this.#about}`)
    }
  }
}
