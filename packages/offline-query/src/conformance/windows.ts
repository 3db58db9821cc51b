import { endOf, type PfnRange } from '@ullage/pages'
import type { RamExtent } from '../open-guest.ts'
import type { GuestTruth } from './conformance-fixture.ts'

const MAX_EDGES = 48

/** All that may be asked of: from frame 0 to a little beyond the last frame of RAM. */
export function wholeSpace(extents: readonly RamExtent[]): PfnRange {
  return { start: 0, count: Math.max(...extents.map(endOf)) + 16 }
}

/** Windows that cut runs and extents in every way: at, before and after their edges, inside, across, and outside RAM. */
export function windows(extents: readonly RamExtent[], truth: GuestTruth): PfnRange[] {
  const whole = wholeSpace(extents)
  const edges = edgesOf(extents, truth)
  const found: PfnRange[] = [whole, ...extents.map(({ start, count }) => ({ start, count }))]
  for (const edge of edges) {
    for (const [before, after] of [
      [1, 0],
      [0, 1],
      [1, 1],
      [3, 2],
    ] as const) {
      found.push({ start: Math.max(0, edge - before), count: before + after })
    }
  }
  edges.forEach((edge, i) => {
    const later = edges[i + 2]
    if (later !== undefined) found.push({ start: edge + 1, count: Math.max(1, later - edge - 1) })
  })
  const end = endOf(whole)
  found.push({ start: end + 1000, count: 7 }, { start: end - 1, count: 1 })
  return found
}

/** First frames of extents and runs, and the frames after their last: ascending, a sample when there are many. */
export function edgesOf(extents: readonly RamExtent[], truth: GuestTruth): number[] {
  const ofExtents = extents.flatMap((extent) => [extent.start, endOf(extent)])
  const ofRuns = truth.states.flatMap((run) => [run.start, endOf(run)])
  return ascending([...sample(ofExtents, MAX_EDGES), ...sample(ofRuns, MAX_EDGES)])
}

/** At most `count` of `items`, evenly spread, the first and the last among them. */
export function sample<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items]
  return Array.from({ length: count }, (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))] as T)
}

function ascending(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b)
}
