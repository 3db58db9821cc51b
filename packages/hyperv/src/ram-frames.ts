import { countFrames, endOf, intersect, mergeRanges, type PfnRange } from '@ullage/pages'

/** Guest RAM as ranges, to clip what a guest says to it. */
export class RamFrames {
  readonly ranges: readonly PfnRange[]
  /** Number of frames of guest RAM. */
  readonly frames: number

  constructor(ranges: Iterable<PfnRange>) {
    this.ranges = mergeRanges(ranges)
    this.frames = countFrames(this.ranges)
  }

  /** The parts of `range` that are guest RAM, ascending. */
  *clip(range: PfnRange): Generator<PfnRange> {
    for (let i = this.#firstEndingAfter(range.start); i < this.ranges.length; i++) {
      const part = intersect(this.ranges[i] as PfnRange, range)
      if (!part) return
      yield part
    }
  }

  #firstEndingAfter(pfn: number): number {
    let low = 0
    let high = this.ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (endOf(this.ranges[middle] as PfnRange) > pfn) high = middle
      else low = middle + 1
    }
    return low
  }
}
