import type { PageCodec } from '@ullage/native'
import { isZeroPage } from '@ullage/vmcore'

/** What one worker compresses together, in bytes of pages. */
const BATCH_BYTES = 1 << 20

/** Frames of one batch for each page that it can hold: zeros that are not read take no room but in the tables. */
const FRAMES_PER_PAGE = 4

/** Pages read and compressed together by one worker. */
export function batchPages(pageBytes: number): number {
  return Math.max(1, Math.floor(BATCH_BYTES / pageBytes))
}

/** Frames of one batch, those included that are zeros without being read. */
export function batchFrames(pageBytes: number): number {
  return batchPages(pageBytes) * FRAMES_PER_PAGE
}

/** Memory shared between the dumping thread and its compressing threads, for one batch. All of it is reused. */
export interface BatchMemory {
  /** Payloads, one after the other. */
  readonly output: SharedArrayBuffer
  /** Uint32 a frame: in, 1 for a frame that is zeros without being read, else 0. */
  readonly skipped: SharedArrayBuffer
  /** Uint32 a frame: out, payload bytes; 0 for a page of zeros. */
  readonly sizes: SharedArrayBuffer
  /** Uint32 a frame: out, flags of the page. */
  readonly flags: SharedArrayBuffer
  /** Uint32 a frame: out, a number made of the page's content. */
  readonly prints: SharedArrayBuffer
}

export interface CompressSettings {
  readonly pageBytes: number
  /** True when pages of zeros share one stored page. */
  readonly shareZeroPages: boolean
  /** `page_desc.flags` of a compressed page. */
  readonly compressedFlag: number
}

export function allocateBatch(pageBytes: number, maxCompressedBytes: number): BatchMemory {
  const frames = batchFrames(pageBytes)
  // A codec may need more room than the page it fails to shrink.
  const outputBytes = (batchPages(pageBytes) - 1) * pageBytes + Math.max(pageBytes, maxCompressedBytes)
  return {
    output: new SharedArrayBuffer(outputBytes),
    skipped: new SharedArrayBuffer(frames * 4),
    sizes: new SharedArrayBuffer(frames * 4),
    flags: new SharedArrayBuffer(frames * 4),
    prints: new SharedArrayBuffer(frames * 4),
  }
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
  readonly #output: Uint8Array
  readonly #skipped: Uint32Array
  readonly #sizes: Uint32Array
  readonly #flags: Uint32Array
  readonly #prints: Uint32Array

  constructor(store: SharedArrayBuffer, batch: BatchMemory, settings: CompressSettings, codec: PageCodec | undefined) {
    this.#settings = settings
    this.#codec = codec
    this.#store = Buffer.from(store)
    this.#storeWords = new Int32Array(store)
    this.#output = new Uint8Array(batch.output)
    this.#skipped = new Uint32Array(batch.skipped)
    this.#sizes = new Uint32Array(batch.sizes)
    this.#flags = new Uint32Array(batch.flags)
    this.#prints = new Uint32Array(batch.prints)
  }

  /** Compresses `count` frames, whose pages stand in the store from byte `at` on. Returns the bytes of all payloads. */
  compress(count: number, at: number): number {
    const { pageBytes, shareZeroPages, compressedFlag } = this.#settings
    const store = this.#store
    let offset = at
    let written = 0
    for (let i = 0; i < count; i++) {
      this.#sizes[i] = 0
      this.#flags[i] = 0
      if (this.#skipped[i] === 1) continue
      if (!shareZeroPages || !isZeroPage(store, offset, pageBytes)) {
        const size = this.#codec ? this.#codec.compress(store, offset, pageBytes, this.#output, written) : pageBytes
        if (size < pageBytes) {
          this.#sizes[i] = size
          this.#flags[i] = compressedFlag
          written += size
        } else {
          this.#output.set(store.subarray(offset, offset + pageBytes), written)
          this.#sizes[i] = pageBytes
          written += pageBytes
        }
        this.#prints[i] = printOf(this.#storeWords, offset >>> 2, pageBytes >>> 2, this.#sizes[i] as number)
      }
      offset += pageBytes
    }
    return written
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
