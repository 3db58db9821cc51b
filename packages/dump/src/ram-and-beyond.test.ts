import { mergeRanges } from '@ullage/pages'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RamAndBeyond } from './ram-and-beyond.ts'

const ram = [
  { start: 10, count: 20 },
  { start: 40, count: 5 },
]

test('counts what a set of frame numbers counts, in guest RAM and outside', () => {
  const range = fc.record({ start: fc.nat(60), count: fc.integer({ min: 1, max: 20 }) })
  fc.assert(
    fc.property(fc.array(range), range, (ranges, within) => {
      const found = new RamAndBeyond(ram)
      const expected = new Set<number>()
      for (const merged of mergeRanges(ranges)) {
        found.add(merged)
        for (let pfn = merged.start; pfn < merged.start + merged.count; pfn++) expected.add(pfn)
      }
      expect(found.size).toBe(expected.size)
      const inside = [...expected].filter((pfn) => pfn >= within.start && pfn < within.start + within.count)
      expect(found.countIn(within)).toBe(inside.length)
    }),
  )
})

test('all frames that an address can name take no memory and no time', () => {
  const found = new RamAndBeyond(ram)
  const all = { start: 0, count: 2 ** 53 - 4096 }
  found.add(all)
  expect(found.size).toBe(all.count)
  expect(found.countIn(all)).toBe(all.count)
  expect(found.countIn({ start: 5, count: 2 ** 52 })).toBe(2 ** 52)
})
