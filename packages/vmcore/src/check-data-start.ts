import { readBytes } from './byte-source.ts'
import type { Vmcore } from './vmcore.ts'
import { VmcoreError } from './vmcore-error.ts'
import { asBuffer, isZeroPage } from './zero-page.ts'

/**
 * Checks that page data starts right where the table of descriptors ends, `lowest` being where the first page in the
 * file stands, and returns the end of a page of zeros there that no frame uses, else 0.
 *
 * Bitmap 2 alone says how many descriptors there are and whose they are. With a bit too few every later frame would get
 * the content of another one; nothing but the place of the data tells. makedumpfile and QEMU put a page of zeros first,
 * used or not: only that may stand before the first page. Throws VmcoreError CORRUPT.
 * Ref: makedumpfile makedumpfile.c, write_kdump_pages_cyclic; QEMU dump/dump.c, write_dump_pages.
 */
export async function checkDataStart({ info, bytes }: Vmcore, lowest: number | undefined): Promise<number> {
  const { dataStart, pageBytes, storedFrames } = info
  if (lowest === dataStart) return 0
  const unused = dataStart + pageBytes
  if ((lowest === undefined || lowest === unused) && unused <= bytes.sizeBytes) {
    const page = await readBytes(bytes, dataStart, pageBytes, 'the page of zeros before all others')
    if (isZeroPage(asBuffer(page), 0, pageBytes)) return unused
  }
  if (lowest === undefined) return 0
  throw new VmcoreError(
    'CORRUPT',
    `bitmap 2 has ${storedFrames} frames stored, so page data is expected at offset ${dataStart}, ` +
      `the first is found at offset ${lowest}: descriptors do not belong to the frames that it names`,
  )
}
