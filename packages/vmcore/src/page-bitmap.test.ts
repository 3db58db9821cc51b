import fc from 'fast-check'
import { mergeRanges, type PfnRange } from '@ullage/pages'
import { expect, test } from 'vitest'
import { writeBitmap } from './bitmap-writer.ts'
import type { ByteSource } from './byte-source.ts'
import { PageBitmap } from './page-bitmap.ts'

function memorySource(bytes: Uint8Array): Pick<ByteSource, 'readSparse'> {
  return {
    async readSparse(into, position) {
      if (position + into.length > bytes.length) throw new RangeError('beyond the end')
      into.set(bytes.subarray(position, position + into.length))
    },
  }
}

async function written(runs: readonly PfnRange[], maxPfn: number): Promise<Uint8Array> {
  const sizeBytes = Math.ceil(Math.ceil(maxPfn / 8) / 4096) * 4096
  const bytes = new Uint8Array(sizeBytes + 7).fill(0xaa)
  const sink = { write: async (part: Uint8Array, at: number): Promise<void> => void bytes.set(part, at) }
  const frames = await writeBitmap(sink, runs, { name: 'present', position: 7, sizeBytes, maxPfn })
  expect(frames).toBe(runs.reduce((sum, run) => sum + run.count, 0))
  return bytes
}

async function collect(runs: AsyncIterable<PfnRange>): Promise<PfnRange[]> {
  const collected: PfnRange[] = []
  for await (const run of runs) collected.push(run)
  return collected
}

test('bits are counted from the lowest of the first byte', async () => {
  const bytes = await written(
    [
      { start: 0, count: 1 },
      { start: 9, count: 2 },
    ],
    20,
  )
  expect([...bytes.subarray(7, 11)]).toEqual([0b1, 0b110, 0, 0])
})

test('reads back the runs it wrote, across chunks, with ranks', async () => {
  const range = fc.record({ start: fc.nat(1_400_000), count: fc.integer({ min: 1, max: 300_000 }) })
  await fc.assert(
    fc.asyncProperty(
      fc.array(range, { maxLength: 6 }),
      fc.array(fc.nat(1_800_000), { maxLength: 5 }),
      async (ranges, probes) => {
        const runs = mergeRanges(ranges)
        const maxPfn = 1_750_000
        const bitmap = new PageBitmap(memorySource(await written(runs, maxPfn)), 7, maxPfn, 'bitmap')
        expect(await collect(bitmap.runs())).toEqual(runs)
        expect(await bitmap.count()).toBe(runs.reduce((sum, run) => sum + run.count, 0))
        expect(await bitmap.firstBeyond(4096)).toBeUndefined()
        for (const pfn of probes) {
          expect(await bitmap.has(pfn)).toBe(runs.some((run) => pfn >= run.start && pfn < run.start + run.count))
          const below = runs.reduce((sum, run) => sum + Math.max(0, Math.min(run.count, pfn - run.start)), 0)
          if (pfn < maxPfn) expect(await bitmap.rank(pfn)).toBe(below)
        }
      },
    ),
    { numRuns: 25 },
  )
})

test('what stands beyond the last frame does not count, and is found', async () => {
  const bytes = await written([{ start: 90, count: 20 }], 200)
  const bitmap = new PageBitmap(memorySource(bytes), 7, 100, 'bitmap')
  expect(await collect(bitmap.runs())).toEqual([{ start: 90, count: 10 }])
  expect(await bitmap.count()).toBe(10)
  expect(await bitmap.has(105)).toBe(false)
  expect(await bitmap.firstBeyond(4096)).toBe(100)
})

test.each([
  [
    'descending',
    [
      { start: 10, count: 1 },
      { start: 5, count: 1 },
    ],
  ],
  [
    'overlapping',
    [
      { start: 10, count: 5 },
      { start: 12, count: 1 },
    ],
  ],
  ['empty', [{ start: 10, count: 0 }]],
  ['beyond the last frame', [{ start: 90, count: 11 }]],
])('refuses runs that are %s', async (_, runs) => {
  await expect(written(runs, 100)).rejects.toThrow(RangeError)
})

test('gives frames in lots, across words and chunks, the last one smaller', async () => {
  const range = fc.record({ start: fc.integer({ min: 520_000, max: 528_000 }), count: fc.integer({ min: 1, max: 90 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(range, { maxLength: 40 }), fc.integer({ min: 1, max: 500 }), async (ranges, size) => {
      const runs = mergeRanges(ranges)
      const maxPfn = 528_101
      const bitmap = new PageBitmap(memorySource(await written(runs, maxPfn)), 7, maxPfn, 'bitmap')
      const found: number[] = []
      for await (const lot of bitmap.lots(size)) {
        expect(found.length % size).toBe(0)
        expect(lot.length).toBeLessThanOrEqual(size)
        found.push(...lot)
      }
      expect(found).toEqual(runs.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i)))
    }),
  )
})
