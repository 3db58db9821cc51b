import type { GuestSize } from './guest-size.ts'
import type { ContentFigures } from './measure-content.ts'

const PAGES_PER_MIB = 256
const LZO_RATIO = { least: 1.5, most: 2.5 }
/** Of the content asked for, so much must be there as pages that are not zeros: 1.5 GiB of the full guest's. */
const LEAST_CONTENT = 1536 / 1792
/** More duplicates than memory has by itself would make sharing of pages look better than it is. */
const MOST_DUPLICATES = 0.1

/** Throws unless the guest's memory is what the benchmark promises: enough of it, varied, and alike only by nature. */
export function refuseUnfitContent(content: ContentFigures, { contentMiB }: GuestSize): void {
  const { nonZeroPages, lzoRatio, duplicateShare } = content
  const leastPages = contentMiB * LEAST_CONTENT * PAGES_PER_MIB
  if (nonZeroPages < leastPages) {
    throw new Error(`expected ${leastPages} pages of the guest that are not zeros, found ${nonZeroPages}`)
  }
  if (lzoRatio < LZO_RATIO.least || lzoRatio > LZO_RATIO.most) {
    throw new Error(`expected an lzo ratio from ${LZO_RATIO.least} to ${LZO_RATIO.most}, found ${lzoRatio}`)
  }
  if (duplicateShare > MOST_DUPLICATES) {
    throw new Error(`expected at most ${MOST_DUPLICATES} of the pages to be like another, found ${duplicateShare}`)
  }
}
