import type { PageCodec } from '@ullage/native'
import { isZeroPage } from '@ullage/vmcore'

/** What one worker compresses together, in bytes of pages. */
const BATCH_BYTES = 1 << 20

/** Frames compressed together by one worker. */
export function batchFrames(pageBytes: number): number {
  return Math.max(1, Math.floor(BATCH_BYTES / pageBytes))
}

/** Memory shared between the dumping thread and its compressing threads, for one batch. All of it is reused. */
export interface BatchMemory {
  /** Page content, frame after frame, as read from the guest. */
  readonly input: SharedArrayBuffer
  /** Payloads, one after the other. */
  readonly output: SharedArrayBuffer
  /** Uint32 a frame: in, 1 for a frame that is zeros without being read, else 0. */
  readonly skipped: SharedArrayBuffer
  /** Uint32 a frame: out, payload bytes; 0 for a page of zeros. */
  readonly sizes: SharedArrayBuffer
  /** Uint32 a frame: out, flags of the page. */
  readonly flags: SharedArrayBuffer
}

export interface CompressSettings {
  readonly pageBytes: number
  /** True when pages of zeros share one stored page. */
  readonly shareZeroPages: boolean
  /** `page_desc.flags` of a compressed page. */
  readonly compressedFlag: number
}

/** Bytes that the output of one batch can take: a codec may need more room than the page it fails to shrink. */
export function outputBytes(pageBytes: number, maxCompressedBytes: number): number {
  return (batchFrames(pageBytes) - 1) * pageBytes + Math.max(pageBytes, maxCompressedBytes)
}

export function allocateBatch(pageBytes: number, maxCompressedBytes: number): BatchMemory {
  const frames = batchFrames(pageBytes)
  return {
    input: new SharedArrayBuffer(frames * pageBytes),
    output: new SharedArrayBuffer(outputBytes(pageBytes, maxCompressedBytes)),
    skipped: new SharedArrayBuffer(frames * 4),
    sizes: new SharedArrayBuffer(frames * 4),
    flags: new SharedArrayBuffer(frames * 4),
  }
}

/**
 * Views over one batch and its compression: zero test, then the codec, then the page as it is where the codec does not
 * make it smaller. Returns the bytes of all payloads.
 */
export class BatchCompressor {
  readonly #settings: CompressSettings
  readonly #codec: PageCodec | undefined
  readonly #inputBytes: Buffer
  readonly #input: Uint8Array
  readonly #output: Uint8Array
  readonly #skipped: Uint32Array
  readonly #sizes: Uint32Array
  readonly #flags: Uint32Array

  constructor(memory: BatchMemory, settings: CompressSettings, codec: PageCodec | undefined) {
    this.#settings = settings
    this.#codec = codec
    this.#inputBytes = Buffer.from(memory.input)
    this.#input = new Uint8Array(memory.input)
    this.#output = new Uint8Array(memory.output)
    this.#skipped = new Uint32Array(memory.skipped)
    this.#sizes = new Uint32Array(memory.sizes)
    this.#flags = new Uint32Array(memory.flags)
  }

  compress(count: number): number {
    const { pageBytes, shareZeroPages, compressedFlag } = this.#settings
    let written = 0
    for (let i = 0; i < count; i++) {
      const offset = i * pageBytes
      if (this.#skipped[i] === 1 || (shareZeroPages && isZeroPage(this.#inputBytes, offset, pageBytes))) {
        this.#sizes[i] = 0
        this.#flags[i] = 0
        continue
      }
      const size = this.#codec ? this.#codec.compress(this.#input, offset, pageBytes, this.#output, written) : pageBytes
      if (size < pageBytes) {
        this.#sizes[i] = size
        this.#flags[i] = compressedFlag
        written += size
      } else {
        this.#output.set(this.#input.subarray(offset, offset + pageBytes), written)
        this.#sizes[i] = pageBytes
        this.#flags[i] = 0
        written += pageBytes
      }
    }
    return written
  }
}
