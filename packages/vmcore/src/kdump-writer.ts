import { offsetOf, writeU64 } from '@ullage/layout'
import { AppendBuffer } from './append-buffer.ts'
import { writeBitmap } from './bitmap-writer.ts'
import { encodeKdumpHeader, planKdump } from './kdump-header.ts'
import { page_desc } from './kdump-layout.ts'
import { checkBatch } from './page-batch.ts'
import { checkPageBytes, PageCount } from './page-count.ts'
import { placePages, SharedPages } from './shared-pages.ts'
import type {
  PageBatch,
  PositionedSink,
  VmcoreFrames,
  VmcoreHeader,
  VmcoreSummary,
  VmcoreWriter,
} from './vmcore-writer.ts'

const DESCRIPTOR_BUFFER_BYTES = 1 << 20

const OFFSET = offsetOf(page_desc, 'offset')
const SIZE = offsetOf(page_desc, 'size')
const FLAGS = offsetOf(page_desc, 'flags')

/**
 * Starts a kdump-compressed file, version 6: writes header, notes and both bitmaps. Pages of zeros share one stored
 * page, and so do pages that are equal where the sink can be read back. Memory use does not depend on the size of the guest.
 *
 * Throws RangeError for frames that break their contract and LayoutError for notes that are not ELF notes.
 * Ref: makedumpfile IMPLEMENTATION, "the layout of the dump file".
 */
export async function startKdump(
  sink: PositionedSink,
  header: VmcoreHeader,
  frames: VmcoreFrames,
): Promise<VmcoreWriter> {
  checkPageBytes(header.pageBytes)
  const plan = planKdump(header, frames.maxPfn, frames.storedCount)
  await sink.write(encodeKdumpHeader(header, plan, frames.maxPfn), 0)
  const bitmap = { sizeBytes: plan.bitmapBytes, maxPfn: frames.maxPfn }
  await writeBitmap(sink, frames.present(), { name: 'present', position: plan.bitmap1, ...bitmap })
  const stored = await writeBitmap(sink, frames.stored(), { name: 'stored', position: plan.bitmap2, ...bitmap })
  const pages = new PageCount(frames.storedCount, stored)

  const table = new AppendBuffer(sink, plan.descriptors, DESCRIPTOR_BUFFER_BYTES)
  const readBack = sink.readBack?.bind(sink)
  const known = readBack && new SharedPages(readBack, { maxBytes: header.pageBytes, pages: frames.storedCount })
  let end = plan.data
  let sharedPages = 0
  let zeroPage: number | undefined

  return {
    async append(batch: PageBatch): Promise<void> {
      checkBatch(batch, header.pageBytes)
      const zeros = countZeros(batch)
      pages.add(batch.count, zeros)
      if (zeros > 0 && zeroPage === undefined) {
        zeroPage = end
        await sink.write(new Uint8Array(header.pageBytes), end)
        end += header.pageBytes
      }
      const { positions, bytes, shared } = placePages(batch, end, known)
      sharedPages += shared
      await table.append(encodeDescriptors(batch, positions, zeroPage ?? 0, header.pageBytes))
      if (bytes > 0) await sink.write(batch.payload.subarray(0, bytes), end)
      end += bytes
    },
    async finish(): Promise<VmcoreSummary> {
      pages.finish()
      await table.flush()
      return { bytes: end, pages: pages.pages, zeroPages: pages.zeroPages, sharedPages }
    },
  }
}

function countZeros(batch: PageBatch): number {
  let zeros = 0
  for (let i = 0; i < batch.count; i++) if (batch.sizes[i] === 0) zeros++
  return zeros
}

function encodeDescriptors(batch: PageBatch, positions: Float64Array, zeroPage: number, pageBytes: number): Uint8Array {
  const table = new Uint8Array(batch.count * page_desc.size)
  const view = new DataView(table.buffer)
  for (let i = 0; i < batch.count; i++) {
    const at = i * page_desc.size
    const size = batch.sizes[i] as number
    writeU64(view, at + OFFSET, size === 0 ? zeroPage : (positions[i] as number))
    view.setUint32(at + SIZE, size === 0 ? pageBytes : size, true)
    view.setUint32(at + FLAGS, size === 0 ? 0 : (batch.flags[i] as number), true)
  }
  return table
}
