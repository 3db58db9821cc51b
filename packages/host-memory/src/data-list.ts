import type { ByteRange } from '@ullage/native'
import { HostMemoryError } from './host-memory-error.ts'

/** Throws HostMemoryError `INVALID` unless `ranges` are ascending, disjoint ranges inside a file of `fileBytes`. */
export function checkDataRanges(ranges: readonly ByteRange[], fileBytes: number, about: string): void {
  let last = 0
  ranges.forEach(({ startBytes, endBytes }, i) => {
    const whole = Number.isSafeInteger(startBytes) && Number.isSafeInteger(endBytes)
    const problem =
      !whole || startBytes < 0 || endBytes <= startBytes
        ? 'is not a range of bytes: 0 <= start < end'
        : startBytes < last
          ? `starts before byte ${last}, where the one before ends; they must ascend`
          : endBytes > fileBytes
            ? `ends beyond the file's ${fileBytes} bytes`
            : undefined
    if (problem) {
      throw new HostMemoryError('INVALID', `data range ${i} of ${about}, [${startBytes}, ${endBytes}), ${problem}`)
    }
    last = endBytes
  })
}

/** The parts of ascending `ranges` inside `within`. */
export function* clip(ranges: readonly ByteRange[], within: ByteRange): Generator<ByteRange> {
  for (let i = firstEndingAfter(ranges, within.startBytes); i < ranges.length; i++) {
    const range = ranges[i] as ByteRange
    if (range.startBytes >= within.endBytes) return
    yield {
      startBytes: Math.max(range.startBytes, within.startBytes),
      endBytes: Math.min(range.endBytes, within.endBytes),
    }
  }
}

function firstEndingAfter(ranges: readonly ByteRange[], offsetBytes: number): number {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ranges[middle] as ByteRange).endBytes > offsetBytes) high = middle
    else low = middle + 1
  }
  return low
}
