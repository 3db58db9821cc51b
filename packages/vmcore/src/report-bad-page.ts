import { readBytes } from './byte-source.ts'
import { checkInside } from './check-inside.ts'
import { checkPage, type Decompress, decodePage, type PageLocation, where } from './decompress.ts'
import { checkPosition } from './kdump-reader.ts'
import type { Vmcore } from './vmcore.ts'
import { VmcoreError } from './vmcore-error.ts'

/**
 * Throws what is wrong with a page that was found bad for `reason`: looks at it once more, alone, to name frame and file
 * offset. A page that is whole the second time is an error too.
 */
export async function reportBadPage(
  { info, bytes }: Vmcore,
  page: PageLocation,
  reason: string,
  decompress: Decompress,
): Promise<never> {
  checkPage(page, info.pageBytes)
  checkPosition(page, info.dataStart)
  checkInside(bytes.sizeBytes, page.size, page.position, `data of ${where(page)}`)
  const stored = await readBytes(bytes, page.position, page.size, `data of ${where(page)}`)
  decodePage(page, stored, 0, new Uint8Array(info.pageBytes), info.pageBytes, decompress)
  throw new VmcoreError('UNREADABLE', `${where(page)} was bad (${reason}), and whole when it was read again`)
}
