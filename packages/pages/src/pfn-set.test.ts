import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergeRanges, type PfnRange } from './pfn-range.ts'
import { PfnSet } from './pfn-set.ts'

const operation = fc.record({
  add: fc.boolean(),
  start: fc.integer({ min: 0, max: 100_000 }),
  count: fc.integer({ min: 1, max: 3_000 }),
})

test('agrees with a plain Set over random additions and deletions', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 20 }), (operations) => {
      const set = new PfnSet()
      const plain = new Set<number>()
      for (const { add, start, count } of operations) {
        if (add) set.add({ start, count })
        else set.delete({ start, count })
        for (let pfn = start; pfn < start + count; pfn++) {
          if (add) plain.add(pfn)
          else plain.delete(pfn)
        }
      }
      expect(set.size).toBe(plain.size)
      const runs = mergeRanges([...plain].map((start) => ({ start, count: 1 })))
      expect([...set.allRuns()]).toEqual(runs)
      expect([...set.runs({ start: 0, count: 200_000 })]).toEqual(runs)
      for (const { start, count } of operations) {
        for (const pfn of [start - 1, start, start + count - 1, start + count]) {
          if (pfn >= 0) expect(set.has(pfn)).toBe(plain.has(pfn))
        }
        const within: PfnRange = { start, count }
        const inside = [...plain].filter((pfn) => pfn >= start && pfn < start + count).length
        expect(set.countIn(within)).toBe(inside)
      }
    }),
    { numRuns: 60 },
  )
})

test('a frame beyond 32 bits is a frame like any other', () => {
  const far = 2 ** 40
  const set = PfnSet.of([{ start: far - 1, count: 3 }])
  expect([...set.allRuns()]).toEqual([{ start: far - 1, count: 3 }])
  expect(set.has(far)).toBe(true)
  expect(set.has(far + 2)).toBe(false)
  expect(set.next(far - 100, true, far + 100)).toBe(far - 1)
})

test('refuses what is not a range of frames', () => {
  const set = new PfnSet()
  expect(() => set.add({ start: -1, count: 2 })).toThrow(RangeError)
  expect(() => set.add({ start: 0.5, count: 2 })).toThrow(RangeError)
})
