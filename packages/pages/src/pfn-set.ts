import { CHUNK_FRAMES, FrameChunk } from './frame-chunk.ts'
import { endOf, type PfnRange } from './pfn-range.ts'

/**
 * A set of page frames, in chunks of 32768 that exist only where something is set: neither does a guest with memory at the
 * far end of its address space cost more than one without, nor a long run more than a short one. A chunk takes a bit a frame
 * at most, less where its runs are few and were added in ascending order.
 */
export class PfnSet {
  readonly #chunks = new Map<number, FrameChunk>()
  #size = 0
  // What was looked up last: neighbours are asked for in turns.
  #lastKey = -1
  #last: FrameChunk | undefined

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
    const key = Math.floor(pfn / CHUNK_FRAMES)
    return this.#chunk(key)?.has(pfn - key * CHUNK_FRAMES) ?? false
  }

  add(range: PfnRange): void {
    checkRange(range)
    const end = endOf(range)
    for (let at = range.start; at < end; ) {
      const key = Math.floor(at / CHUNK_FRAMES)
      const first = key * CHUNK_FRAMES
      const to = Math.min(end - first, CHUNK_FRAMES)
      const chunk = this.#chunk(key) ?? this.#newChunk(key)
      const before = chunk.count
      chunk.add(at - first, to)
      this.#size += chunk.count - before
      at = first + to
    }
  }

  delete(range: PfnRange): void {
    checkRange(range)
    const end = endOf(range)
    for (let at = range.start; at < end; ) {
      const key = Math.floor(at / CHUNK_FRAMES)
      const first = key * CHUNK_FRAMES
      const to = Math.min(end - first, CHUNK_FRAMES)
      this.#deleteIn(key, at - first, to)
      at = first + to
    }
  }

  /** First frame at or after `pfn` and below `limit` whose membership is `wanted`, or `limit` when there is none. */
  next(pfn: number, wanted: boolean, limit: number): number {
    for (let at = pfn; at < limit; ) {
      const key = Math.floor(at / CHUNK_FRAMES)
      const first = key * CHUNK_FRAMES
      const chunk = this.#chunk(key)
      if (!chunk && !wanted) return at
      const found = chunk ? chunk.next(at - first, wanted) : CHUNK_FRAMES
      if (found < CHUNK_FRAMES) return Math.min(first + found, limit)
      at = first + CHUNK_FRAMES
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
    const limit = endOf(within)
    let frames = 0
    for (let at = this.next(within.start, true, limit); at < limit; ) {
      const end = this.next(at, false, limit)
      frames += end - at
      at = this.next(end, true, limit)
    }
    return frames
  }

  #chunk(key: number): FrameChunk | undefined {
    if (key !== this.#lastKey) {
      this.#lastKey = key
      this.#last = this.#chunks.get(key)
    }
    return this.#last
  }

  #newChunk(key: number): FrameChunk {
    const chunk = new FrameChunk()
    this.#chunks.set(key, chunk)
    this.#lastKey = key
    this.#last = chunk
    return chunk
  }

  /** Frames [from, to) of one chunk. */
  #deleteIn(key: number, from: number, to: number): void {
    const chunk = this.#chunk(key)
    if (!chunk) return
    const before = chunk.count
    if (to - from < CHUNK_FRAMES) chunk.delete(from, to)
    const after = to - from < CHUNK_FRAMES ? chunk.count : 0
    this.#size += after - before
    if (after > 0) return
    this.#chunks.delete(key)
    this.#last = undefined
  }
}

function checkRange({ start, count }: PfnRange): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(count) || start < 0 || count < 0) {
    throw new RangeError(`not a range of frames: start ${start}, count ${count}`)
  }
}
