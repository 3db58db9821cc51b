import type { PageTable } from './page-table.ts'
import type { SharedReader } from './shared-bytes.ts'

/** Large enough for few calls, small enough to stay in a core's cache until it is decompressed. */
const WINDOW_BYTES = 1 << 18

/**
 * Brings the pages of one table into memory, many with one read. Pages are asked for in the order that the table was
 * given with; those that follow one another in the file, with no more than a page between them, are read together. The
 * window only moves forward and a page behind it is read alone, so that no table, whatever it claims, makes it read more
 * than its pages twice and the gaps between them.
 */
export class TableReader {
  readonly #source: SharedReader
  readonly #pageBytes: number
  readonly #window: Buffer
  readonly #alone: Buffer
  #start = 0
  #end = 0

  /** Where the last page that was asked for stands: `buffer` from `offset` on. */
  buffer: Buffer
  offset = 0

  constructor(source: SharedReader, pageBytes: number) {
    this.#source = source
    this.#pageBytes = pageBytes
    this.#window = Buffer.allocUnsafeSlow(WINDOW_BYTES + pageBytes)
    this.#alone = Buffer.allocUnsafeSlow(pageBytes)
    this.buffer = this.#window
  }

  /** To be called before the first page of each table. */
  restart(): void {
    this.#start = 0
    this.#end = 0
  }

  /**
   * Brings page `order[at]` of `table` (page `at` without an order) into memory. It must lie inside the source and have
   * at most `pageBytes`. Throws what the source throws.
   */
  bring(table: PageTable, order: Uint32Array | undefined, at: number): void {
    const index = order ? (order[at] as number) : at
    const position = table.positions[index] as number
    const size = table.sizes[index] as number
    if (position >= this.#start && position + size <= this.#end) {
      this.buffer = this.#window
      this.offset = position - this.#start
    } else if (position < this.#start || !this.#fill(position, this.#reach(table, order, at, position + size))) {
      this.#source.read(this.#alone.subarray(0, size), position)
      this.buffer = this.#alone
      this.offset = 0
    }
  }

  /** Where the bytes end that are worth reading with those up to `end`, which the page at `at` has. */
  #reach(table: PageTable, order: Uint32Array | undefined, at: number, end: number): number {
    const { count, positions, sizes } = table
    const start = positions[order ? (order[at] as number) : at] as number
    let reach = end
    for (let next = at + 1; next < count; next++) {
      const index = order ? (order[next] as number) : next
      const from = positions[index] as number
      const size = sizes[index] as number
      if (from < start || from > reach + this.#pageBytes || size > this.#pageBytes) break
      const to = from + size
      if (to > start + this.#window.length || to > this.#source.sizeBytes) break
      if (to > reach) reach = to
    }
    return reach
  }

  /** False when not all of it can be read: then a page of it may still be. */
  #fill(start: number, end: number): boolean {
    this.#start = start
    this.#end = start
    try {
      this.#source.read(this.#window.subarray(0, end - start), start)
    } catch {
      return false
    }
    this.#end = end
    this.buffer = this.#window
    this.offset = 0
    return true
  }
}
