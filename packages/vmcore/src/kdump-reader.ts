import { offsetOf, readU64 } from '@ullage/layout'
import { type ByteSource, readBytes } from './byte-source.ts'
import type { PageLocation } from './decompress.ts'
import { checkBitmaps } from './check-bitmaps.ts'
import { checkInside } from './check-inside.ts'
import { readKdumpInfo } from './kdump-info.ts'
import { page_desc } from './kdump-layout.ts'
import { PageBitmap } from './page-bitmap.ts'
import { tablePages } from './page-table.ts'
import type { StoredPages, VmcoreTables } from './vmcore.ts'
import { VmcoreError } from './vmcore-error.ts'

const OFFSET = offsetOf(page_desc, 'offset')
const SIZE = offsetOf(page_desc, 'size')
const FLAGS = offsetOf(page_desc, 'flags')

/**
 * Opens the tables of a kdump-compressed file. Reads all of bitmap 2 once, chunk by chunk, to know how many descriptors
 * there are. Throws VmcoreError.
 */
export async function openKdump(
  bytes: ByteSource,
  flattened: boolean,
  signal: AbortSignal | undefined,
): Promise<VmcoreTables> {
  const { bitmap1, bitmap2, descriptors, extrasEnd, ...header } = await readKdumpInfo(bytes)
  const bitmapBytes = Math.ceil(header.maxPfn / 8)
  checkInside(bytes.sizeBytes, bitmapBytes, bitmap1, 'bitmap 1')
  checkInside(bytes.sizeBytes, bitmapBytes, bitmap2, 'bitmap 2')
  const present = new PageBitmap(bytes, bitmap1, header.maxPfn, 'bitmap 1')
  const stored = new PageBitmap(bytes, bitmap2, header.maxPfn, 'bitmap 2')
  const storedFrames = await stored.count(signal)
  checkInside(
    bytes.sizeBytes,
    storedFrames * page_desc.size,
    descriptors,
    `the table of ${storedFrames} page descriptors`,
  )
  const dataStart = descriptors + storedFrames * page_desc.size

  const tables: VmcoreTables = {
    info: { ...header, flattened, storedFrames, dataStart, headersEnd: Math.max(dataStart, extrasEnd) },
    bytes,
    present: (options) => present.runs(options?.signal),
    stored: (options) => stored.runs(options?.signal),
    async frameState(pfn) {
      if (await stored.has(pfn)) return 'stored'
      return (await present.has(pfn)) ? 'excluded' : 'hole'
    },
    async locate(pfn) {
      if (!(await stored.has(pfn))) throw notStored(pfn, await tables.frameState(pfn))
      const at = descriptors + (await stored.rank(pfn)) * page_desc.size
      const bytesOfIt = await readBytes(bytes, at, page_desc.size, `page_desc of pfn 0x${pfn.toString(16)}`)
      return located(pfn, new DataView(bytesOfIt.buffer), 0, dataStart)
    },
    async checkTables(options) {
      const sizeBytes = bitmap2 === bitmap1 ? descriptors - bitmap1 : bitmap2 - bitmap1
      for (const bitmap of [present, stored]) {
        const beyond = await bitmap.firstBeyond(sizeBytes, options?.signal)
        if (beyond !== undefined) {
          throw new VmcoreError(
            'CORRUPT',
            `pfn 0x${beyond.toString(16)} is set in ${bitmap.name}, max_mapnr is 0x${header.maxPfn.toString(16)}`,
          )
        }
      }
      return await checkBitmaps(present, stored, options?.signal)
    },
    storedPages: (options) =>
      readDescriptors(bytes, stored, descriptors, tablePages(header.pageBytes), options?.signal),
  }
  return tables
}

export function notStored(pfn: number, state: string): VmcoreError {
  const why = state === 'excluded' ? 'is guest memory that was left out of the dump' : 'is no guest memory'
  return new VmcoreError('NOT_STORED', `pfn 0x${pfn.toString(16)} ${why}`)
}

/** Throws VmcoreError CORRUPT for a page that claims to stand where page data cannot be. */
export function checkPosition(page: PageLocation, dataStart: number): void {
  if (!Number.isSafeInteger(page.position) || page.position < dataStart) {
    throw new VmcoreError(
      'CORRUPT',
      `pfn 0x${page.pfn.toString(16)} claims offset ${page.position}, page data starts at ${dataStart}`,
    )
  }
}

function located(pfn: number, view: DataView, at: number, dataStart: number): PageLocation {
  const page = {
    pfn,
    position: readU64(view, at + OFFSET),
    size: view.getUint32(at + SIZE, true),
    flags: view.getUint32(at + FLAGS, true),
  }
  checkPosition(page, dataStart)
  return page
}

async function* readDescriptors(
  bytes: ByteSource,
  stored: PageBitmap,
  descriptors: number,
  atOnce: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoredPages> {
  let position = descriptors
  for await (const pfns of stored.lots(atOnce, signal)) {
    const count = pfns.length
    const table = await readBytes(bytes, position, count * page_desc.size, 'page descriptors')
    position += table.length
    const view = new DataView(table.buffer)
    const pages = {
      count,
      pfns: pfns.slice(),
      positions: new Float64Array(count),
      sizes: new Uint32Array(count),
      flags: new Uint32Array(count),
    }
    for (let i = 0; i < count; i++) {
      const at = i * page_desc.size
      pages.positions[i] = readU64(view, at + OFFSET)
      pages.sizes[i] = view.getUint32(at + SIZE, true)
      pages.flags[i] = view.getUint32(at + FLAGS, true)
    }
    yield pages
  }
}
