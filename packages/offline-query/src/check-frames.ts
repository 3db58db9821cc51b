import { endOf, findRange, type PfnRange } from '@ullage/pages'
import type { GuestMemory } from './open-guest.ts'

/** Throws RangeError unless `range` is one: whole frame numbers from 0 on, one frame at least. */
export function checkFrames(range: PfnRange): void {
  const { start, count } = range
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(count) && Number.isSafeInteger(endOf(range))
  if (!whole || start < 0 || count < 1) {
    throw new RangeError(`expected a range of frames, found start ${start}, count ${count}`)
  }
}

/** Throws RangeError unless `range` lies inside guest RAM and `into` has room for it and no more. */
export function checkRead(
  memory: Pick<GuestMemory, 'frameBytes' | 'extents'>,
  range: PfnRange,
  into: Uint8Array,
): void {
  checkFrames(range)
  const { frameBytes, extents } = memory
  for (let pfn = range.start; pfn < endOf(range); ) {
    const extent = extents[findRange(extents, pfn)]
    if (!extent) throw new RangeError(`frames [${range.start}, ${endOf(range)}) are not all guest RAM: ${pfn} is not`)
    pfn = endOf(extent)
  }
  if (into.length !== range.count * frameBytes) {
    throw new RangeError(`${range.count} frames need ${range.count * frameBytes} bytes, found ${into.length}`)
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
