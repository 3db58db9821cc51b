import { OfflineError } from '@ullage/offline-query'
import type { NumberedValues } from './key-store.ts'
import { PageRecords, RecordError } from './page-records.ts'
import { readBytes, type StorageFile } from './storage-file.ts'
import { decompressXpress } from './xpress.ts'

/** Bytes of guest RAM in one RamBlock; one of exactly this size is stored as it is. */
export const BLOCK_BYTES = 1 << 20
export const PAGE_BYTES = 4096
export const BLOCK_FRAMES = BLOCK_BYTES / PAGE_BYTES

/** Pages that do not compress are stored as they are: 4 bytes more for each, and an end. */
const MAX_STORED_BYTES = BLOCK_BYTES + 4 * BLOCK_FRAMES + 64
/** Blocks kept in memory: 1 MiB each at most, or twice that for a stream of records. */
const CACHED_BLOCKS = 16
/** A stream of one block may end with flags of which no bit was needed. */
const MAX_TAIL_BYTES = 4

/** Of a block that is not stored as it is: the part from `offsetBytes` on. */
type BlockContent = (offsetBytes: number, into: Uint8Array) => void

/** How blocks are compressed: page by page, or 1 MiB at once. All blocks of a file are one or the other. */
export type BlockForm = 'pages' | 'whole'

/**
 * The RamBlocks of a saved state by their numbers. Blocks not stored as they are hold page records, or one XPRESS stream
 * of 1 MiB, which FORMAT.md can be read to mean: what the first one is all others must be. A few are kept in memory.
 */
export class RamBlocks {
  readonly #file: StorageFile
  readonly #stored: NumberedValues
  readonly #cache = new Map<number, BlockContent>()
  #form: BlockForm | undefined

  constructor(file: StorageFile, stored: NumberedValues) {
    this.#file = file
    this.#stored = stored
  }

  /** Number of blocks. */
  get length(): number {
    return this.#stored.length
  }

  /** Index of the first block whose number is `number` or more; `length` when there is none. */
  firstFrom(number: number): number {
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#stored.numbers[middle] as number) < number) low = middle + 1
      else high = middle
    }
    return low
  }

  numberAt(index: number): number {
    return this.#stored.numbers[index] as number
  }

  /**
   * Fills `into` with block `number` from `offsetBytes` on, which is inside it. Throws OfflineError UNREADABLE, naming `what`, when
   * the block is absent or is in no form that is known.
   */
  read(number: number, offsetBytes: number, into: Uint8Array, what: string): void {
    const index = this.firstFrom(number)
    if (index === this.length || this.numberAt(index) !== number) {
      throw new OfflineError('UNREADABLE', `${what} cannot be read: ${this.#file.path} has no RamBlock${number}`)
    }
    const size = this.#stored.sizes[index] as number
    const place = this.#stored.offsets[index] as number
    if (size === BLOCK_BYTES) {
      this.#file.read(place + offsetBytes, into, what)
      return
    }
    try {
      this.#content(number, place, size)(offsetBytes, into)
    } catch (cause) {
      if (!(cause instanceof RecordError)) throw cause
      const text =
        `${what} cannot be read: RamBlock${number} of ${this.#file.path} has ${size} bytes, neither ${BLOCK_BYTES} as they ` +
        `are nor a form of xpress that is known: ${cause.message}`
      throw new OfflineError('UNREADABLE', text, { cause })
    }
  }

  #content(number: number, place: number, size: number): BlockContent {
    const cached = this.#cache.get(number)
    this.#cache.delete(number)
    const content = cached ?? this.#decode(number, place, size)
    this.#cache.set(number, content)
    if (this.#cache.size > CACHED_BLOCKS) for (const [oldest] of this.#cache) return this.#evict(oldest, content)
    return content
  }

  #evict(oldest: number, content: BlockContent): BlockContent {
    this.#cache.delete(oldest)
    return content
  }

  #decode(number: number, place: number, size: number): BlockContent {
    if (size > MAX_STORED_BYTES) throw new RecordError(`expected ${MAX_STORED_BYTES} bytes at most`)
    const bytes = readBytes(this.#file, place, size, `RamBlock${number}`)
    if (this.#form !== 'whole') {
      try {
        const records = new PageRecords(bytes, BLOCK_BYTES)
        this.#form = 'pages'
        return (offsetBytes, into) => records.read(offsetBytes, into)
      } catch (error) {
        if (this.#form === 'pages' || !(error instanceof RecordError)) throw error
        const whole = wholeBlock(bytes)
        if (!whole) throw error
        this.#form = 'whole'
        return whole
      }
    }
    const whole = wholeBlock(bytes)
    if (!whole) throw new RecordError('other blocks are one stream of 1 MiB, this one is not')
    return whole
  }
}

function wholeBlock(bytes: Uint8Array): BlockContent | undefined {
  const block = new Uint8Array(BLOCK_BYTES)
  const taken = decompressXpress(bytes, block)
  if (taken === -1 || bytes.length - taken > MAX_TAIL_BYTES) return undefined
  return (offsetBytes, into) => into.set(block.subarray(offsetBytes, offsetBytes + into.length))
}
