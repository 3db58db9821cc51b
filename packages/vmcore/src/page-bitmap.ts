import type { PfnRange } from '@ullage/pages'
import type { ByteSource } from './byte-source.ts'

/** 524288 frames: 2 GiB of a guest with 4 KiB pages. */
const CHUNK_BYTES = 1 << 16
const CHUNK_FRAMES = CHUNK_BYTES * 8

export interface BitmapChunk {
  readonly first: number
  readonly frames: number
  readonly words: Uint32Array
}

/**
 * One page bitmap of a file, read chunk by chunk: memory use is two chunks and 8 bytes a chunk, whatever `maxPfn` a
 * header claims. Frames from `maxPfn` on are not in it, whatever their bits say.
 */
export class PageBitmap {
  readonly #source: Pick<ByteSource, 'readSparse'>
  readonly #position: number
  /** For errors. */
  readonly name: string
  readonly maxPfn: number
  #ranks: Float64Array | undefined
  #cachedChunk = -1
  #cached: Promise<Uint32Array> | undefined

  constructor(source: Pick<ByteSource, 'readSparse'>, position: number, maxPfn: number, name: string) {
    this.#source = source
    this.#position = position
    this.name = name
    this.maxPfn = maxPfn
  }

  /** Maximal runs of set frames, ascending. */
  async *runs(signal?: AbortSignal): AsyncGenerator<PfnRange> {
    let start = -1
    for (let first = 0; first < this.maxPfn; first += CHUNK_FRAMES) {
      signal?.throwIfAborted()
      const words = await this.#read(first / CHUNK_FRAMES)
      const frames = Math.min(CHUNK_FRAMES, this.maxPfn - first)
      for (let at = 0; at < frames; ) {
        const end = nextBit(words, at, start < 0, frames)
        if (end < frames) {
          if (start < 0) start = first + end
          else {
            yield { start, count: first + end - start }
            start = -1
          }
        }
        at = end
      }
    }
    if (start >= 0) yield { start, count: this.maxPfn - start }
  }

  /**
   * Frame numbers that are set, ascending, in lots of `size` and a last smaller one. Each lot is in the same array, which
   * the next one overwrites.
   */
  async *lots(size: number, signal?: AbortSignal): AsyncGenerator<Float64Array> {
    const lot = new Float64Array(size)
    let filled = 0
    for await (const { first, frames, words } of this.chunks(signal)) {
      for (let at = 0; at < frames; at += 32) {
        let word = maskedTo(words[at >>> 5] as number, frames - at)
        while (word !== 0) {
          const bit = 31 - Math.clz32(word & -word)
          word &= word - 1
          lot[filled++] = first + at + bit
          if (filled === size) {
            yield lot
            filled = 0
          }
        }
      }
    }
    if (filled > 0) yield lot.subarray(0, filled)
  }

  /** The bits in pieces: those of `frames` frames from `first` on, 32 a word, lowest first. */
  async *chunks(signal?: AbortSignal): AsyncGenerator<BitmapChunk, undefined> {
    for (let first = 0; first < this.maxPfn; first += CHUNK_FRAMES) {
      signal?.throwIfAborted()
      const frames = Math.min(CHUNK_FRAMES, this.maxPfn - first)
      yield { first, frames, words: await this.#read(first / CHUNK_FRAMES) }
    }
    return undefined
  }

  async has(pfn: number): Promise<boolean> {
    if (pfn < 0 || pfn >= this.maxPfn) return false
    const words = await this.#chunk(Math.floor(pfn / CHUNK_FRAMES))
    const bit = pfn % CHUNK_FRAMES
    return (((words[bit >>> 5] as number) >>> (bit & 31)) & 1) === 1
  }

  /** Number of set frames below `pfn`. */
  async rank(pfn: number): Promise<number> {
    const ranks = await this.#allRanks()
    const chunk = Math.floor(pfn / CHUNK_FRAMES)
    const before = ranks[chunk] as number
    const bit = pfn % CHUNK_FRAMES
    return bit === 0 ? before : before + countBits(await this.#chunk(chunk), bit)
  }

  /** Number of set frames. */
  async count(signal?: AbortSignal): Promise<number> {
    const ranks = await this.#allRanks(signal)
    return ranks[ranks.length - 1] as number
  }

  async #allRanks(signal?: AbortSignal): Promise<Float64Array> {
    if (this.#ranks) return this.#ranks
    const chunks = Math.ceil(this.maxPfn / CHUNK_FRAMES)
    const ranks = new Float64Array(chunks + 1)
    for (let chunk = 0; chunk < chunks; chunk++) {
      signal?.throwIfAborted()
      const frames = Math.min(CHUNK_FRAMES, this.maxPfn - chunk * CHUNK_FRAMES)
      ranks[chunk + 1] = (ranks[chunk] as number) + countBits(await this.#read(chunk), frames)
    }
    this.#ranks = ranks
    return ranks
  }

  /** The first set bit from `maxPfn` on in a bitmap of `sizeBytes` bytes, or undefined. */
  async firstBeyond(sizeBytes: number, signal?: AbortSignal): Promise<number | undefined> {
    const whole = new PageBitmap(this.#source, this.#position, sizeBytes * 8, this.name)
    for (let first = this.maxPfn - (this.maxPfn % CHUNK_FRAMES); first < whole.maxPfn; first += CHUNK_FRAMES) {
      signal?.throwIfAborted()
      const frames = Math.min(CHUNK_FRAMES, whole.maxPfn - first)
      const found = nextBit(await whole.#read(first / CHUNK_FRAMES), Math.max(0, this.maxPfn - first), true, frames)
      if (found < frames) return first + found
    }
    return undefined
  }

  #chunk(chunk: number): Promise<Uint32Array> {
    if (this.#cachedChunk !== chunk || !this.#cached) {
      this.#cachedChunk = chunk
      this.#cached = this.#read(chunk).catch((error: unknown) => {
        this.#cachedChunk = -1
        throw error
      })
    }
    return this.#cached
  }

  async #read(chunk: number): Promise<Uint32Array> {
    const bytes = new Uint8Array(CHUNK_BYTES)
    const used = Math.min(CHUNK_BYTES, Math.ceil(this.maxPfn / 8) - chunk * CHUNK_BYTES)
    await this.#source.readSparse(bytes.subarray(0, used), this.#position + chunk * CHUNK_BYTES, this.name)
    const words = new Uint32Array(CHUNK_BYTES / 4)
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < words.length; i++) words[i] = view.getUint32(i * 4, true)
    return words
  }
}

/** First bit from `from` on that is set or clear as `wanted`, or `limit`. */
function nextBit(words: Uint32Array, from: number, wanted: boolean, limit: number): number {
  for (let at = from; at < limit; ) {
    const word = words[at >>> 5] as number
    const rest = (wanted ? word : ~word) >>> (at & 31)
    if (rest !== 0) return Math.min(limit, at + 31 - Math.clz32(rest & -rest))
    at += 32 - (at & 31)
  }
  return limit
}

/** `word` without bits from `bits` on. */
function maskedTo(word: number, bits: number): number {
  return bits >= 32 ? word : word & ((1 << bits) - 1)
}

/** Number of set bits among the first `bits`. */
export function countBits(words: Uint32Array, bits: number): number {
  let count = 0
  const whole = bits >>> 5
  for (let i = 0; i < whole; i++) count += popCount(words[i] as number)
  const rest = bits & 31
  return rest === 0 ? count : count + popCount(maskedTo(words[whole] as number, rest))
}

function popCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555)
  const nibbles = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333)
  return (((nibbles + (nibbles >>> 4)) & 0x0f0f_0f0f) * 0x0101_0101) >>> 24
}
