/** A run of page frames: the half-open range [start, start + count). `count` is never zero. Both count frames. */
export interface PfnRange {
  readonly start: number
  readonly count: number
}

/** First frame after `range`. */
export function endOf(range: PfnRange): number {
  return range.start + range.count
}

/** The half-open range [start, end). Throws RangeError when it is empty, negative or not made of integers. */
export function rangeBetween(start: number, end: number): PfnRange {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end <= start) {
    throw new RangeError(`a range of frames needs integers 0 <= start < end, found [${start}, ${end})`)
  }
  return { start, count: end - start }
}

/** The frames in both, or undefined when there are none. */
export function intersect(a: PfnRange, b: PfnRange): PfnRange | undefined {
  const start = Math.max(a.start, b.start)
  const end = Math.min(endOf(a), endOf(b))
  return end > start ? { start, count: end - start } : undefined
}

/** The same frames as ascending, disjoint ranges that never touch. Takes ranges in any order, overlapping or not. */
export function mergeRanges(ranges: Iterable<PfnRange>): PfnRange[] {
  const merged: { start: number; count: number }[] = []
  for (const { start, count } of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1)
    if (last && start <= last.start + last.count) {
      last.count = Math.max(last.count, start + count - last.start)
    } else {
      merged.push({ start, count })
    }
  }
  return merged
}

/** Number of frames in all of `ranges`, which must be disjoint. */
export function countFrames(ranges: Iterable<PfnRange>): number {
  let frames = 0
  for (const range of ranges) frames += range.count
  return frames
}

/** The index of the range that holds `pfn` in ascending, disjoint `ranges`, or -1. */
export function findRange(ranges: readonly PfnRange[], pfn: number): number {
  let low = 0
  let high = ranges.length - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    const range = ranges[middle] as PfnRange
    if (pfn < range.start) high = middle - 1
    else if (pfn >= endOf(range)) low = middle + 1
    else return middle
  }
  return -1
}

/**
 * `within` in ascending, gapless pieces, each all inside or all outside `ranges`, which must be ascending and disjoint.
 * Takes as many steps as there are ranges that meet `within`.
 */
export function* cutRange(
  within: PfnRange,
  ranges: readonly PfnRange[],
): Generator<PfnRange & { readonly inside: boolean }> {
  const limit = endOf(within)
  let at = within.start
  for (let i = firstEndingAfter(ranges, at); at < limit; i++) {
    const range = ranges[i]
    const start = range ? Math.min(Math.max(range.start, at), limit) : limit
    const end = range ? Math.min(endOf(range), limit) : limit
    if (start > at) yield { start: at, count: start - at, inside: false }
    if (end > start) yield { start, count: end - start, inside: true }
    at = Math.max(start, end)
  }
}

/** Index of the first range of ascending, disjoint `ranges` that ends after `pfn`; their number when there is none. */
function firstEndingAfter(ranges: readonly PfnRange[], pfn: number): number {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (endOf(ranges[middle] as PfnRange) > pfn) high = middle
    else low = middle + 1
  }
  return low
}
