import { mergeRanges, type PfnRange } from '@ullage/pages'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { writeBitmap } from './bitmap-writer.ts'
import { checkBitmaps } from './check-bitmaps.ts'
import { PageBitmap } from './page-bitmap.ts'

/** Two chunks and a part of a word. */
const MAX_PFN = 1_100_005

async function bitmapOf(runs: readonly PfnRange[], name: string): Promise<PageBitmap> {
  const bytes = new Uint8Array(Math.ceil(MAX_PFN / 8 / 4096) * 4096)
  const sink = { write: async (part: Uint8Array, at: number): Promise<void> => void bytes.set(part, at) }
  await writeBitmap(sink, runs, { name, position: 0, sizeBytes: bytes.length, maxPfn: MAX_PFN })
  const readSparse = async (into: Uint8Array, at: number): Promise<void> =>
    into.set(bytes.subarray(at, at + into.length))
  return new PageBitmap({ readSparse }, 0, MAX_PFN, name)
}

const members = (runs: readonly PfnRange[]): number[] =>
  runs.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i))

const anyRuns = fc
  .array(
    fc.record({
      start: fc.oneof(
        fc.nat(200),
        fc.integer({ min: 524_200, max: 524_400 }),
        fc.integer({ min: MAX_PFN - 99, max: MAX_PFN - 50 }),
      ),
      count: fc.integer({ min: 1, max: 50 }),
    }),
    { maxLength: 8 },
  )
  .map(mergeRanges)

test('frames that are stored and not present: the first is named; else those left out are counted', async () => {
  await fc.assert(
    fc.asyncProperty(anyRuns, anyRuns, fc.boolean(), async (some, others, subset) => {
      const present = subset ? mergeRanges([...some, ...others]) : others
      const within = new Set(members(present))
      const first = members(some).find((pfn) => !within.has(pfn))
      const checking = checkBitmaps(await bitmapOf(present, 'bitmap 1'), await bitmapOf(some, 'bitmap 2'), undefined)
      if (first === undefined) expect(await checking).toBe(within.size - members(some).length)
      else await expect(checking).rejects.toThrow(`pfn 0x${first.toString(16)} is stored (bitmap 2)`)
    }),
    { numRuns: 40 },
  )
})
