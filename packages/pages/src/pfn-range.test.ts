import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cutRange, endOf, mergeRanges } from './pfn-range.ts'

const range = fc.record({ start: fc.nat(60), count: fc.integer({ min: 1, max: 20 }) })

describe('cutRange', () => {
  it('cuts at every edge of the ranges', () => {
    const ranges = [
      { start: 0, count: 3 },
      { start: 5, count: 2 },
      { start: 7, count: 1 },
      { start: 20, count: 1 },
    ]
    expect([...cutRange({ start: 2, count: 8 }, ranges)]).toEqual([
      { start: 2, count: 1, inside: true },
      { start: 3, count: 2, inside: false },
      { start: 5, count: 2, inside: true },
      { start: 7, count: 1, inside: true },
      { start: 8, count: 2, inside: false },
    ])
    expect([...cutRange({ start: 30, count: 5 }, ranges)]).toEqual([{ start: 30, count: 5, inside: false }])
    expect([...cutRange({ start: 30, count: 5 }, [])]).toEqual([{ start: 30, count: 5, inside: false }])
  })

  it('covers the range without gaps, each frame as the ranges say', () => {
    fc.assert(
      fc.property(range, fc.array(range), (within, unordered) => {
        const ranges = mergeRanges(unordered)
        let at = within.start
        for (const piece of cutRange(within, ranges)) {
          expect(piece.start).toBe(at)
          expect(piece.count).toBeGreaterThan(0)
          for (let pfn = at; pfn < endOf(piece); pfn++) {
            expect(ranges.some((one) => one.start <= pfn && pfn < endOf(one))).toBe(piece.inside)
          }
          at = endOf(piece)
        }
        expect(at).toBe(endOf(within))
      }),
    )
  })
})
