import { checkBitmaps } from './check-bitmaps.ts'
import { checkDataStart } from './check-data-start.ts'
import { checkPage, type Decompress, decodePage, where } from './decompress.ts'
import { checkInside } from './file-source.ts'
import { checkPosition } from './kdump-reader.ts'
import { PageWindow } from './page-window.ts'
import type { Vmcore } from './vmcore.ts'
import { VmcoreError } from './vmcore-error.ts'
import type { Compression } from './vmcore-writer.ts'
import { isZeroPage } from './zero-page.ts'

/** Pages that several frames share, such as the one of zeros, and whose content is known. */
const MAX_KNOWN_PAGES = 4096

export interface VerifyOptions {
  /** What pages are decompressed with; by default what the vmcore was opened with. */
  readonly decompress?: Decompress
  /** Told after each batch of pages: how many are done, of how many. */
  readonly onProgress?: (pages: number, totalPages: number) => void
  readonly signal?: AbortSignal
}

export interface VerifySummary {
  /** Frames that have a descriptor, or are covered by a segment. */
  readonly pages: number
  /** Those whose content is zeros. */
  readonly zeroPages: number
  /** Frames of guest memory that were left out. */
  readonly excludedFrames: number
  readonly byCompression: Readonly<Record<Compression, number>>
  /** Size of the file; of a flattened one, of the plain file inside. */
  readonly bytes: number
  /** Bytes after everything that the file speaks of: 0 unless something was appended. */
  readonly trailingBytes: number
}

/**
 * Reads and decompresses every page of a vmcore and checks that headers, bitmaps, descriptors and data agree. Pages that
 * stand at the same place are decompressed once. Throws VmcoreError naming the first bad frame and its file offset, and
 * AbortError when `signal` is aborted.
 */
export async function verifyVmcore(vmcore: Vmcore, options: VerifyOptions = {}): Promise<VerifySummary> {
  const { info, bytes } = vmcore
  const { signal, onProgress } = options
  const decompress = options.decompress ?? vmcore.decompress
  if (info.incomplete) throw new VmcoreError('TRUNCATED', 'the file says of itself that it is incomplete')
  await vmcore.checkTables(signal ? { signal } : {})
  const excludedFrames = await checkBitmaps(vmcore, signal)

  const counts: Record<Compression, number> = { zstd: 0, lzo: 0, snappy: 0, zlib: 0, none: 0 }
  const window = new PageWindow(bytes, info.pageBytes)
  const scratch = Buffer.alloc(info.pageBytes)
  /** By position: whether the page there is zeros, with size and flags it was read with. */
  const known = new Map<number, { size: number; flags: number; zero: boolean }>()
  let pages = 0
  let zeroPages = 0
  let end = info.headersEnd
  let lowest: number | undefined

  try {
    for await (const batch of vmcore.storedPages(signal ? { signal } : {})) {
      for (let i = 0; i < batch.count; i++) {
        const position = batch.positions[i] as number
        const size = batch.sizes[i] as number
        const flags = batch.flags[i] as number
        let shared: { size: number; flags: number; zero: boolean } | undefined
        const inWindow = window.has(position, size)
        if (!inWindow) shared = known.get(position)
        if (shared?.size === size && shared.flags === flags) {
          if (shared.zero) zeroPages++
          counts[checkPage({ pfn: batch.pfns[i] as number, position, size, flags }, info.pageBytes)]++
          continue
        }
        const page = { pfn: batch.pfns[i] as number, position, size, flags }
        const compression = checkPage(page, info.pageBytes)
        checkPosition(page, info.dataStart)
        if (!inWindow) {
          checkInside(bytes.sizeBytes, size, position, `data of ${where(page)}`)
          await window.load(position, size, () => `data of ${where(page)}`)
        }
        let zero: boolean
        if (compression === 'none') {
          zero = isZeroPage(window.buffer, window.offset, size)
        } else {
          decodePage(page, window.buffer, window.offset, scratch, info.pageBytes, decompress)
          zero = isZeroPage(scratch, 0, info.pageBytes)
        }
        if (!inWindow && window.isBehind(position) && known.size < MAX_KNOWN_PAGES)
          known.set(position, { size, flags, zero })
        if (zero) zeroPages++
        counts[compression]++
        end = Math.max(end, position + size)
        if (lowest === undefined || position < lowest) lowest = position
      }
      pages += batch.count
      signal?.throwIfAborted()
      onProgress?.(pages, info.storedFrames)
    }
  } finally {
    await window.settle()
  }
  if (pages !== info.storedFrames) {
    throw new VmcoreError('CORRUPT', `${info.storedFrames} frames are stored, ${pages} were found`)
  }
  if (info.format === 'kdump') end = Math.max(end, await checkDataStart(vmcore, lowest))
  return {
    pages,
    zeroPages,
    excludedFrames,
    byCompression: counts,
    bytes: bytes.sizeBytes,
    trailingBytes: Math.max(0, bytes.sizeBytes - end),
  }
}
