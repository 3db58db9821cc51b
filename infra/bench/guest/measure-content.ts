import type { ByteRange } from '@ullage/lab'
import { openCodec } from '@ullage/native'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'

const PAGE_BYTES = 4096
const READ_BYTES = 4 << 20

/** What a guest's memory holds, page by page. */
export interface ContentFigures {
  /** Pages that are backed, and those of them that are not zeros. */
  readonly backedPages: number
  readonly nonZeroPages: number
  /** Bytes of the pages that are not zeros, by what lzo makes of them one by one; a page that grows counts as it is. */
  readonly lzoRatio: number
  /** Of the pages that are not zeros, those whose content another page had before them. */
  readonly duplicateShare: number
}

/** Reads the backed ranges of a RAM file whole: `ranges` begin and end on pages. */
export function measureContent(file: string, ranges: readonly ByteRange[]): ContentFigures {
  using lzo = openCodec('lzo')
  const slab = Buffer.alloc(READ_BYTES)
  const zeros = Buffer.alloc(PAGE_BYTES)
  const out = new Uint8Array(lzo.maxCompressedBytes(PAGE_BYTES))
  const seen = new Set<string>()
  let [backedPages, nonZeroPages, compressedBytes] = [0, 0, 0]
  const fd = openSync(file, 'r')
  try {
    for (const { startByte, endByte } of ranges) {
      for (let at = startByte; at < endByte; at += READ_BYTES) {
        const count = readSync(fd, slab, 0, Math.min(READ_BYTES, endByte - at), at)
        for (let offset = 0; offset < count; offset += PAGE_BYTES) {
          backedPages++
          if (slab.compare(zeros, 0, PAGE_BYTES, offset, offset + PAGE_BYTES) === 0) continue
          nonZeroPages++
          compressedBytes += Math.min(PAGE_BYTES, lzo.compress(slab, offset, PAGE_BYTES, out, 0))
          const page = slab.subarray(offset, offset + PAGE_BYTES)
          seen.add(createHash('md5').update(page).digest('latin1'))
        }
      }
    }
  } finally {
    closeSync(fd)
  }
  return {
    backedPages,
    nonZeroPages,
    lzoRatio: (nonZeroPages * PAGE_BYTES) / compressedBytes,
    duplicateShare: 1 - seen.size / nonZeroPages,
  }
}
