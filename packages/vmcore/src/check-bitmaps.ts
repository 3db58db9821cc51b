import { countBits, type PageBitmap } from './page-bitmap.ts'
import { VmcoreError } from './vmcore-error.ts'

/**
 * Checks that every stored frame is present, walking both bitmaps of one file side by side, and returns the number of
 * frames that are present and not stored. Throws VmcoreError CORRUPT naming the first frame that is not present.
 */
export async function checkBitmaps(
  present: PageBitmap,
  stored: PageBitmap,
  signal: AbortSignal | undefined,
): Promise<number> {
  let excluded = 0
  const storedChunks = stored.chunks(signal)
  for await (const { first, frames, words } of present.chunks(signal)) {
    const { value } = await storedChunks.next()
    if (!value) throw new RangeError(`${present.name} and ${stored.name} are of different sizes`)
    for (let at = 0; at < frames; at += 32) {
      const without = (value.words[at >>> 5] as number) & ~(words[at >>> 5] as number)
      if (without === 0) continue
      const pfn = first + at + 31 - Math.clz32(without & -without)
      if (pfn < first + frames) throw notPresent(pfn)
    }
    excluded += countBits(words, frames) - countBits(value.words, frames)
  }
  return excluded
}

function notPresent(pfn: number): VmcoreError {
  return new VmcoreError('CORRUPT', `pfn 0x${pfn.toString(16)} is stored (bitmap 2) but is no guest memory (bitmap 1)`)
}
