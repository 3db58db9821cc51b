import { CodecError, type PageCodec } from '@ullage/native'
import { isZeroPage } from '@ullage/vmcore'
import { batchSlot, type BatchSlot, type SlotLayout } from './batch-slots.ts'

export interface CompressSettings {
  readonly pageBytes: number
  /** True when pages of zeros share one stored page. */
  readonly shareZeroPages: boolean
  /** `page_desc.flags` of a compressed page. */
  readonly compressedFlag: number
  /** True when each page is decompressed again, and compared, before anybody else has it. */
  readonly comparePages: boolean
}

/** What became of a batch. */
export interface CompressedBatch {
  /** Of all payloads. */
  readonly bytes: number
  /** The first frame of the batch whose page does not come out of the codec as it went in, counted from 0. */
  readonly broken: number | undefined
}

/**
 * Compresses batches: zero test, then the codec, then the page as it is where the codec does not make it smaller. `store`
 * holds the pages that were read.
 */
export class BatchCompressor {
  readonly #settings: CompressSettings
  readonly #codec: PageCodec | undefined
  readonly #store: Buffer
  readonly #storeWords: Int32Array
  readonly #slot: BatchSlot
  readonly #page: Buffer

  constructor(
    memory: { store: SharedArrayBuffer; slots: SharedArrayBuffer; layout: SlotLayout },
    index: number,
    settings: CompressSettings,
    codec: PageCodec | undefined,
  ) {
    this.#settings = settings
    this.#codec = codec
    this.#store = Buffer.from(memory.store)
    this.#storeWords = new Int32Array(memory.store)
    this.#slot = batchSlot(memory.slots, memory.layout, index)
    this.#page = Buffer.allocUnsafeSlow(settings.comparePages ? settings.pageBytes : 0)
  }

  /** Compresses `count` frames, whose pages stand in the store from byte `at` on. */
  compress(count: number, at: number): CompressedBatch {
    const { pageBytes, shareZeroPages, compressedFlag, comparePages } = this.#settings
    const { output, skipped, sizes, flags, prints } = this.#slot
    const store = this.#store
    let offset = at
    let written = 0
    for (let i = 0; i < count; i++) {
      sizes[i] = 0
      flags[i] = 0
      if (skipped[i] === 1) continue
      if (!shareZeroPages || !isZeroPage(store, offset, pageBytes)) {
        let size = this.#codec ? this.#codec.compress(store, offset, pageBytes, output, written) : pageBytes
        if (size < pageBytes) {
          if (comparePages && !this.#comesOut(written, size, offset)) return { bytes: 0, broken: i }
          flags[i] = compressedFlag
        } else {
          output.set(store.subarray(offset, offset + pageBytes), written)
          size = pageBytes
        }
        sizes[i] = size
        prints[i] = printOf(this.#storeWords, offset / 4, pageBytes >>> 2, size)
        written += size
      }
      offset += pageBytes
    }
    return { bytes: written, broken: undefined }
  }

  /** Whether the payload of `size` bytes at `at` is the page that stands at `offset` of the store. */
  #comesOut(at: number, size: number, offset: number): boolean {
    const { pageBytes } = this.#settings
    try {
      const bytes = this.#codec?.decompress(this.#slot.output, at, size, this.#page, 0, pageBytes)
      return bytes === pageBytes && this.#page.compare(this.#store, offset, offset + pageBytes) === 0
    } catch (error) {
      if (error instanceof CodecError) return false
      throw error
    }
  }
}

/** Words of a page that its print is made of. */
const PRINT_WORDS = 32

/** Odd, so that the words looked at stand at different places of the records that a page is made of. */
const PRINT_STRIDE = 37

/** A number made of some words of a page and of its compressed size. */
function printOf(words: Int32Array, start: number, count: number, size: number): number {
  let print = size
  for (let i = 0, at = 0; i < PRINT_WORDS; i++) {
    print = Math.imul(print ^ (words[start + at] as number), 0x9e37_79b1)
    print ^= print >>> 15
    at = (at + PRINT_STRIDE) & (count - 1)
  }
  return print >>> 0
}
