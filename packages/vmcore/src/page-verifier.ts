import type { Decompress, Decompressor } from './decompress.ts'
import { KnownPages } from './known-pages.ts'
import { orderByPosition } from './order-by-position.ts'
import type { CheckedFile } from './page-checker.ts'
import { MAX_TABLE_PAGES, type PageTable } from './page-table.ts'
import { openShared } from './shared-bytes.ts'
import { TableReader } from './table-reader.ts'
import { compressions, pageFlags } from './vmcore-writer.ts'
import { isZeroPage } from './zero-page.ts'

/** What the pages of one table are. */
export interface PageFindings {
  /** Number of pages, in the order of `compressions`. */
  readonly byCompression: readonly number[]
  readonly zeroPages: number
  /** Where in the file the first page starts; Infinity in an empty table. */
  readonly lowest: number
  /** Where the last one ends; 0 in an empty table. */
  readonly end: number
  /** The first bad page of the table. The other figures are then of no use. */
  readonly bad: { readonly index: number; readonly reason: string } | undefined
}

const byFlags = new Map<number, number>(compressions.map((name, index) => [pageFlags[name], index]))
const RAW = compressions.indexOf('none')

/**
 * Reads and decompresses the pages of one vmcore, table after table, on the thread that it was made in. Nothing is
 * allocated for a page. Pages that stand at the same place are decompressed once where they come soon after one another.
 */
export class PageVerifier {
  readonly #sizeBytes: number
  readonly #pageBytes: number
  readonly #dataStart: number
  readonly #decompress: Decompress
  readonly #reader: TableReader
  readonly #page: Buffer
  readonly #known = new KnownPages()
  #flags = -1
  #compression = -1
  #decompressor: Decompressor | undefined

  constructor(file: CheckedFile, decompress: Decompress) {
    const source = openShared(file.bytes)
    this.#sizeBytes = source.sizeBytes
    this.#pageBytes = file.pageBytes
    this.#dataStart = file.dataStart
    this.#decompress = decompress
    this.#reader = new TableReader(source, file.pageBytes)
    this.#page = Buffer.allocUnsafeSlow(file.pageBytes)
  }

  /** Checks every page before the first bad one, and that one. RangeError for a table that is too large. */
  check(table: PageTable): PageFindings {
    const { count, positions, sizes } = table
    if (count > MAX_TABLE_PAGES) throw new RangeError(`${count} pages, at most ${MAX_TABLE_PAGES} are checked at once`)
    const order = orderByPosition(table)
    const byCompression = compressions.map(() => 0)
    let zeroPages = 0
    let lowest = Number.POSITIVE_INFINITY
    let end = 0
    let bad: { index: number; reason: string } | undefined
    this.#reader.restart()
    for (let at = 0; at < count; at++) {
      const index = order ? (order[at] as number) : at
      // In the order of the file the first bad page need not be the first of the table.
      if (bad && index > bad.index) continue
      try {
        if (this.#isZero(table, order, at)) zeroPages++
      } catch (error) {
        bad = { index, reason: error instanceof Error ? error.message : String(error) }
        continue
      }
      const position = positions[index] as number
      byCompression[this.#compression] = (byCompression[this.#compression] as number) + 1
      if (position < lowest) lowest = position
      if (position + (sizes[index] as number) > end) end = position + (sizes[index] as number)
    }
    return { byCompression, zeroPages, lowest, end, bad }
  }

  /** Tells whether a page is zeros. Throws unless it is a whole page. */
  #isZero(table: PageTable, order: Uint32Array | undefined, at: number): boolean {
    const index = order ? (order[at] as number) : at
    const position = table.positions[index] as number
    const size = table.sizes[index] as number
    const flags = table.flags[index] as number
    if (flags !== this.#flags) this.#select(flags)
    const isRaw = this.#compression === RAW
    if (size === 0 || size > this.#pageBytes || (isRaw && size !== this.#pageBytes)) {
      throw new RangeError(`it has ${size} bytes`)
    }
    if (!(position >= this.#dataStart && position + size <= this.#sizeBytes)) {
      throw new RangeError(`it claims offset ${position}`)
    }
    const known = this.#known.find(position, size, flags)
    if (known !== undefined) return known
    this.#reader.bring(table, order, at)
    const isZero = isRaw
      ? isZeroPage(this.#reader.buffer, this.#reader.offset, size)
      : this.#decompressesToZeros(this.#reader.buffer, this.#reader.offset, size)
    this.#known.add(position, size, flags, isZero)
    return isZero
  }

  #decompressesToZeros(source: Buffer, offset: number, size: number): boolean {
    if (!this.#decompressor) throw new RangeError('its compression is not at hand')
    const length = this.#decompressor(source, offset, size, this.#page, 0, this.#pageBytes)
    if (length !== this.#pageBytes) throw new RangeError(`it decompresses to ${length} bytes`)
    return isZeroPage(this.#page, 0, this.#pageBytes)
  }

  /** Most pages have the flags of the page before. */
  #select(flags: number): void {
    const compression = byFlags.get(flags)
    this.#flags = -1
    if (compression === undefined) throw new RangeError(`its flags are 0x${flags.toString(16)}`)
    const name = compressions[compression] as (typeof compressions)[number]
    this.#decompressor = name === 'none' ? undefined : this.#decompress[name]
    this.#compression = compression
    this.#flags = flags
  }
}
