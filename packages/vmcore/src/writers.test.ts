import { join } from 'node:path'
import { offsetOf } from '@ullage/layout'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../test/temporary-folder.ts'
import { fillByPfn, testHeader, writeDump } from '../test/write-dump.ts'
import { startElf } from './elf-writer.ts'
import { startFlattened } from './flattened-writer.ts'
import { page_desc } from './kdump-layout.ts'
import { startKdump } from './kdump-writer.ts'
import { openVmcore } from './open-vmcore.ts'
import { verifyVmcore } from './verify-vmcore.ts'
import type { PageBatch, PositionedSink, VmcoreFrames, VmcoreWriter } from './vmcore-writer.ts'

const PAGE = 4096
const dir = temporaryFolder()
const starts = [
  ['kdump', startKdump],
  ['flattened', startFlattened],
  ['elf', startElf],
] as const

function framesOf(present: VmcoreFrames['present'], stored = present, storedCount = 10): VmcoreFrames {
  return { maxPfn: 100, present, stored, storedCount }
}

const ten = framesOf(() => [{ start: 5, count: 10 }])
const nowhere: PositionedSink = { write: async () => undefined }

function pages(count: number, change: Partial<PageBatch> = {}): PageBatch {
  return {
    count,
    sizes: new Uint32Array(count).fill(PAGE),
    flags: new Uint32Array(count),
    payload: new Uint8Array(count * PAGE).fill(1),
    ...change,
  }
}

describe.each(starts)('%s', (_, start) => {
  const started = (frames = ten): Promise<VmcoreWriter> => start(nowhere, testHeader(), frames)

  test('takes exactly as many pages as were announced', async () => {
    const writer = await started()
    await writer.append(pages(6))
    await expect(writer.finish()).rejects.toThrow('10 pages were announced, only 6 arrived')
    await expect(writer.append(pages(5))).rejects.toThrow('10 pages were announced, 11 arrived')
    await writer.append(pages(4))
    expect(await writer.finish()).toMatchObject({ pages: 10, zeroPages: 0 })
    await expect(writer.finish()).rejects.toThrow(RangeError)
    await expect(writer.append(pages(0))).rejects.toThrow(RangeError)
  })

  test('refuses frames that were counted wrong', async () => {
    const runs = () => [{ start: 5, count: 9 }]
    await expect(started(framesOf(runs))).rejects.toThrow('10 stored frames were announced, 9 were listed')
  })

  test('refuses pages of a size that no reader takes', async () => {
    for (const pageBytes of [0, 2048, 5000, 2 ** 20]) {
      await expect(start(nowhere, testHeader({ pageBytes }), ten)).rejects.toThrow(RangeError)
    }
  })

  test.each<[string, Partial<PageBatch>]>([
    ['sizes that do not add up', { payload: new Uint8Array(10 * PAGE - 1) }],
    ['too few sizes', { sizes: new Uint32Array(9).fill(PAGE) }],
    ['too few flags', { flags: new Uint32Array(9) }],
    ['unknown flags', { flags: new Uint32Array(10).fill(0x40) }],
    ['a raw page that is too short', { sizes: new Uint32Array(10).fill(100), payload: new Uint8Array(1000) }],
    [
      'a page that is too long',
      {
        sizes: new Uint32Array(10).fill(PAGE + 1),
        flags: new Uint32Array(10).fill(1),
        payload: new Uint8Array(10 * (PAGE + 1)),
      },
    ],
  ])('refuses a batch with %s', async (_, change) => {
    const writer = await started()
    await expect(writer.append(pages(10, change))).rejects.toThrow(RangeError)
  })

  test('passes on what the sink says', async () => {
    const full: PositionedSink = { write: () => Promise.reject(new Error('no space')) }
    await expect(start(full, testHeader(), ten)).rejects.toThrow('no space')
  })
})

test('elf takes raw pages only', async () => {
  const writer = await startElf(nowhere, testHeader(), ten)
  const flags = new Uint32Array(10).fill(1)
  await expect(writer.append(pages(10, { flags }))).rejects.toThrow('raw pages only')
})

test.each(starts.slice(0, 2))('%s refuses frames that are out of order or beyond the last', async (_, start) => {
  for (const runs of [
    [
      { start: 9, count: 1 },
      { start: 5, count: 9 },
    ],
    [{ start: 95, count: 10 }],
  ]) {
    await expect(
      start(
        nowhere,
        testHeader(),
        framesOf(() => runs),
      ),
    ).rejects.toThrow(RangeError)
  }
})

test('kdump stores one page of zeros for all of them', async () => {
  const path = join(dir, 'zeros')
  const runs = [{ start: 0, count: 50_000 }]
  const summary = await writeDump(path, { format: 'kdump', present: runs, stored: runs, fill: () => undefined })
  expect(summary).toEqual({
    bytes: 2 * PAGE + 4 * PAGE + 50_000 * page_desc.size + PAGE,
    pages: 50_000,
    sharedPages: 0,
    zeroPages: 50_000,
  })
  await using vmcore = await openVmcore(path)
  const first = await vmcore.locate(0)
  expect(await vmcore.locate(49_999)).toEqual({ ...first, pfn: 49_999 })
  expect(await verifyVmcore(vmcore)).toMatchObject({ pages: 50_000, zeroPages: 50_000, trailingBytes: 0 })
})

test('kdump leaves no page of zeros behind when none was needed', async () => {
  const path = join(dir, 'none')
  const runs = [{ start: 1, count: 1 }]
  const summary = await writeDump(path, { format: 'kdump', present: runs, stored: runs, fill: fillByPfn })
  expect(summary.bytes).toBe(2 * PAGE + 2 * PAGE + page_desc.size + PAGE)
})

test('kdump holds little of a large guest at a time', async () => {
  let largest = 0
  const sink: PositionedSink = {
    write: async (bytes) => {
      largest = Math.max(largest, bytes.length)
    },
  }
  // 4 TiB of guest memory in two million runs; nothing of it is an array.
  const maxPfn = 2 ** 30
  const present = function* (): Generator<{ start: number; count: number }> {
    for (let start = 0; start < maxPfn; start += 512) yield { start, count: 500 }
  }
  const stored = function* (): Generator<{ start: number; count: number }> {
    for (let start = 0; start < maxPfn; start += 2 ** 20) yield { start, count: 1 }
  }
  const writer = await startKdump(sink, testHeader(), { maxPfn: maxPfn - 12, present, stored, storedCount: 1024 })
  const sizes = new Uint32Array(1024)
  await writer.append({ count: 1024, sizes, flags: new Uint32Array(1024), payload: new Uint8Array(0) })
  await writer.finish()
  expect(largest).toBeLessThanOrEqual(4 << 20)
})

describe('elf with more program headers than e_phnum can count', () => {
  test.each([65_533, 65_534, 65_535, 70_000])('%d runs', async (count) => {
    const path = join(dir, `many.${count}`)
    const runs = Array.from({ length: count }, (_, i) => ({ start: 3 * i, count: 1 }))
    const fill = (pfn: number, page: Uint8Array): void => {
      if (pfn % 7 === 0) new DataView(page.buffer).setUint32(0, pfn + 1, true)
    }
    await writeDump(path, { format: 'elf', present: runs, stored: runs, fill, batchPages: 5000 })
    await using vmcore = await openVmcore(path)
    expect(vmcore.info.storedFrames).toBe(count)
    const page = new Uint8Array(PAGE)
    for (const index of [0, 7, 65_534, count - 1].filter((i) => i < count)) {
      const pfn = 3 * index
      expect(await vmcore.readPage(pfn, page)).toBe(pfn % 7 === 0 ? 'data' : 'zero')
      if (pfn % 7 === 0) expect(new DataView(page.buffer).getUint32(0, true)).toBe(pfn + 1)
      expect(await vmcore.frameState(pfn + 1)).toBe('hole')
    }
    expect(await verifyVmcore(vmcore)).toMatchObject({ pages: count, trailingBytes: 0 })
  })
})

test('descriptor table and data offsets are where the format says', async () => {
  const path = join(dir, 'offsets')
  const runs = [{ start: 0, count: 5 }]
  await writeDump(path, { format: 'kdump', present: runs, stored: runs, fill: fillByPfn })
  await using vmcore = await openVmcore(path)
  expect(offsetOf(page_desc, 'size')).toBe(8)
  expect(vmcore.info.dataStart).toBe(4 * PAGE + 5 * 24)
  expect(await vmcore.locate(1)).toMatchObject({ size: PAGE, flags: 0 })
})
