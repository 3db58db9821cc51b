import { endOf, type PfnRange } from '@ullage/pages'

/** Throws RangeError unless `range` is one: whole frame numbers from 0 on, one frame at least. */
export function checkFrames(range: PfnRange): void {
  const { start, count } = range
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(count) && Number.isSafeInteger(endOf(range))
  if (!whole || start < 0 || count < 1) {
    throw new RangeError(`expected a range of frames, found start ${start}, count ${count}`)
  }
}

/** Throws RangeError unless `skip` is made of ranges that ascend and are disjoint. */
export function checkSkip(skip: readonly PfnRange[]): void {
  let end = 0
  for (const range of skip) {
    checkFrames(range)
    if (range.start < end) {
      throw new RangeError(
        `expected frames to skip in ascending, disjoint ranges, found ${range.start} after ${end - 1}`,
      )
    }
    end = endOf(range)
  }
}
