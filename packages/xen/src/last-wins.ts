import { FrameRuns } from './frame-runs.ts'

/**
 * A map of what came last: `log` holds runs in the order in which they were said, of any frames, and a later one replaces
 * an earlier one. The result ascends. Takes the memory of a few numbers for each run of `log`; the result has less than
 * twice as many runs. Runs whose `to` is negative stand for nothing: they only replace.
 */
export function lastWins(log: FrameRuns): FrameRuns {
  const byStart = new Float64Array(log.length).map((_, i) => i)
  const starts = new Float64Array(log.length).map((_, i) => log.at(i).from)
  byStart.sort((a, b) => (starts[a] as number) - (starts[b] as number) || a - b)
  const result = new FrameRuns(log.step)
  const open = new LatestFirst()
  let next = 0
  let at = 0
  for (;;) {
    while (next < byStart.length && (starts[byStart[next] as number] as number) <= at) {
      open.push(byStart[next++] as number)
    }
    let latest = open.latest
    while (latest !== undefined && endOfRun(log, latest) <= at) {
      open.pop()
      latest = open.latest
    }
    const nextStart = next < byStart.length ? (starts[byStart[next] as number] as number) : Number.POSITIVE_INFINITY
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
