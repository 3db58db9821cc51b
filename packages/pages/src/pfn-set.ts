import { endOf, type PfnRange } from './pfn-range.ts'

const WORD_BITS = 32
const CHUNK_SHIFT = 15
const CHUNK_FRAMES = 1 << CHUNK_SHIFT
const CHUNK_WORDS = CHUNK_FRAMES / WORD_BITS

/**
 * A set of page frames: one bit a frame, in chunks of 32768 frames (4 KiB of memory) that exist only where something is
 * set, so that a guest with memory at the far end of its address space costs no more than one without.
 */
export class PfnSet {
  readonly #chunks = new Map<number, Uint32Array>()
  #size = 0

  static of(ranges: Iterable<PfnRange>): PfnSet {
    const set = new PfnSet()
    for (const range of ranges) set.add(range)
    return set
  }

  /** Number of frames in the set. */
  get size(): number {
    return this.#size
  }

  has(pfn: number): boolean {
    const chunk = this.#chunks.get(Math.floor(pfn / CHUNK_FRAMES))
    if (!chunk) return false
    const bit = pfn % CHUNK_FRAMES
    return (((chunk[bit >>> 5] as number) >>> (bit & 31)) & 1) === 1
  }

  add(range: PfnRange): void {
    this.#write(range, true)
  }

  delete(range: PfnRange): void {
    this.#write(range, false)
  }

  /** First frame at or after `pfn` and below `limit` whose membership is `wanted`, or `limit` when there is none. */
  next(pfn: number, wanted: boolean, limit: number): number {
    let at = pfn
    while (at < limit) {
      const chunk = this.#chunks.get(Math.floor(at / CHUNK_FRAMES))
      if (!chunk) {
        if (!wanted) return at
        at = (Math.floor(at / CHUNK_FRAMES) + 1) * CHUNK_FRAMES
        continue
      }
      const bit = at % CHUNK_FRAMES
      const word = chunk[bit >>> 5] as number
      const rest = (wanted ? word : ~word) >>> (bit & 31)
      if (rest !== 0) {
        const found = at + (31 - Math.clz32(rest & -rest))
        return Math.min(found, limit)
      }
      at += WORD_BITS - (bit & 31)
    }
    return limit
  }

  /** The maximal runs of the set inside `within`, ascending. */
  *runs(within: PfnRange): Generator<PfnRange> {
    const limit = endOf(within)
    let start = this.next(within.start, true, limit)
    while (start < limit) {
      const end = this.next(start, false, limit)
      yield { start, count: end - start }
      start = this.next(end, true, limit)
    }
  }

  /** The maximal runs of the whole set, ascending. */
  *allRuns(): Generator<PfnRange> {
    const chunks = [...this.#chunks.keys()].sort((a, b) => a - b)
    let open: { start: number; count: number } | undefined
    for (const chunk of chunks) {
      for (const run of this.runs({ start: chunk * CHUNK_FRAMES, count: CHUNK_FRAMES })) {
        if (open && open.start + open.count === run.start) {
          open.count += run.count
          continue
        }
        if (open) yield open
        open = { start: run.start, count: run.count }
      }
    }
    if (open) yield open
  }

  /** Number of frames of the set inside `within`. */
  countIn(within: PfnRange): number {
    let frames = 0
    for (const run of this.runs(within)) frames += run.count
    return frames
  }

  #write(range: PfnRange, value: boolean): void {
    if (
      !Number.isSafeInteger(range.start) ||
      !Number.isSafeInteger(range.count) ||
      range.start < 0 ||
      range.count < 0
    ) {
      throw new RangeError(`not a range of frames: start ${range.start}, count ${range.count}`)
    }
    const end = endOf(range)
    let at = range.start
    while (at < end) {
      const key = Math.floor(at / CHUNK_FRAMES)
      const chunkEnd = Math.min(end, (key + 1) * CHUNK_FRAMES)
      let chunk = this.#chunks.get(key)
      if (!chunk && value) {
        chunk = new Uint32Array(CHUNK_WORDS)
        this.#chunks.set(key, chunk)
      }
      if (chunk) this.#size += writeBits(chunk, at % CHUNK_FRAMES, (at % CHUNK_FRAMES) + (chunkEnd - at), value)
      at = chunkEnd
    }
  }
}

/** Sets or clears bits [from, to) and returns by how many the number of set bits changed. */
function writeBits(chunk: Uint32Array, from: number, to: number, value: boolean): number {
  let change = 0
  for (let bit = from; bit < to; ) {
    const index = bit >>> 5
    const inWord = Math.min(WORD_BITS - (bit & 31), to - bit)
    const mask = inWord === WORD_BITS ? 0xffff_ffff : (((1 << inWord) - 1) << (bit & 31)) >>> 0
    const before = chunk[index] as number
    const after = (value ? before | mask : before & ~mask) >>> 0
    chunk[index] = after
    change += countBits(after) - countBits(before)
    bit += inWord
  }
  return change
}

function countBits(word: number): number {
  let v = word - ((word >>> 1) & 0x5555_5555)
  v = (v & 0x3333_3333) + ((v >>> 2) & 0x3333_3333)
  return (((v + (v >>> 4)) & 0x0f0f_0f0f) * 0x0101_0101) >>> 24
}
