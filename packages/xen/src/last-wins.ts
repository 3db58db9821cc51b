import { FrameRuns } from './frame-runs.ts'

/** Bits of an index in a sort key; the other 40 are the frame's. */
const INDEX_BITS = 24
const INDEX_COUNT = 2 ** INDEX_BITS

/**
 * A map of what came last: `log` holds runs in the order in which they were said, of frames below 2^40, and a later one
 * replaces an earlier one. The result ascends. Takes 8 bytes for each run of `log` and those of the result, which has less
 * than twice as many runs. Runs whose `to` is negative stand for nothing: they only replace.
 */
export function lastWins(log: FrameRuns): FrameRuns {
  const byStart = sortedByStart(log)
  const result = new FrameRuns(log.step)
  const open = new LatestFirst()
  let next = 0
  let at = 0
  for (;;) {
    while (next < log.length && log.at(indexAt(byStart, next)).from <= at) open.push(indexAt(byStart, next++))
    let latest = open.latest
    while (latest !== undefined && endOfRun(log, latest) <= at) {
      open.pop()
      latest = open.latest
    }
    const nextStart = next < log.length ? log.at(indexAt(byStart, next)).from : Number.POSITIVE_INFINITY
    if (latest === undefined) {
      if (nextStart === Number.POSITIVE_INFINITY) return result
      at = nextStart
      continue
    }
    const run = log.at(latest)
    const end = Math.min(endOfRun(log, latest), nextStart)
    if (run.to >= 0) result.addRun({ from: at, to: run.to + (at - run.from) * log.step, count: end - at })
    at = end
  }
}

/**
 * Indices of all runs by where they begin, as pairs of words, the lower first, which ends with the index: 64-bit keys, as
 * little-endian hosts have them, since a sort without a function to compare by takes a tenth of the time.
 */
function sortedByStart(log: FrameRuns): Uint32Array {
  const { length } = log
  if (length > INDEX_COUNT) throw new RangeError(`expected ${INDEX_COUNT} runs at most, found ${length}`)
  const words = new Uint32Array(2 * length)
  for (let i = 0; i < length; i++) {
    const { from } = log.at(i)
    words[2 * i] = (from % 2 ** (32 - INDEX_BITS)) * INDEX_COUNT + i
    words[2 * i + 1] = Math.floor(from / 2 ** (32 - INDEX_BITS))
  }
  new BigUint64Array(words.buffer).sort()
  return words
}

function indexAt(byStart: Uint32Array, place: number): number {
  return (byStart[2 * place] as number) % INDEX_COUNT
}

function endOfRun(log: FrameRuns, index: number): number {
  const { from, count } = log.at(index)
  return from + count
}

/** A heap of indices, the largest on top. */
class LatestFirst {
  readonly #heap: number[] = []

  get latest(): number | undefined {
    return this.#heap[0]
  }

  push(index: number): void {
    const heap = this.#heap
    let at = heap.push(index) - 1
    while (at > 0) {
      const above = (at - 1) >>> 1
      if ((heap[above] as number) >= index) break
      heap[at] = heap[above] as number
      at = above
    }
    heap[at] = index
  }

  pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && (heap[below + 1] as number) > (heap[below] as number)) below++
      if ((heap[below] as number) <= last) break
      heap[at] = heap[below] as number
      at = below
    }
    heap[at] = last
  }
}
