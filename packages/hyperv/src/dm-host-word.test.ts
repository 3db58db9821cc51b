import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dmHostWord } from './dm-host-word.ts'
import type { DmRanges } from './dm-ranges.ts'

const BOOT = { start: 0, count: 64 }
const DEVICE = { start: 1000, count: 64 }
const REGIONS = [BOOT, DEVICE]

function account(parts: Partial<DmRanges>): DmRanges {
  return { ballooned: [], hotAdded: [], perhapsAdded: [], knowsBallooned: true, knowsHotAdded: true, ...parts }
}

const unbacked = (...accounts: DmRanges[]) => [...dmHostWord(REGIONS, accounts).unbacked.allRuns()]

describe('one account', () => {
  test('frames ballooned out have no memory, of all others nothing is known', () => {
    expect(unbacked(account({ ballooned: [{ start: 8, count: 4 }] }))).toEqual([{ start: 8, count: 4 }])
  })

  test('what lies behind hot-added memory in its region was not added', () => {
    const added = account({ hotAdded: [{ start: 1000, count: 20 }] })
    expect(unbacked(added)).toEqual([{ start: 1020, count: 44 }])
  })

  test('nor what lies between; of what lies before nothing is known, and nothing of other regions', () => {
    const added = account({
      hotAdded: [
        { start: 1010, count: 10 },
        { start: 1030, count: 10 },
      ],
    })
    expect(unbacked(added)).toEqual([
      { start: 1020, count: 10 },
      { start: 1040, count: 24 },
    ])
  })

  test('what was asked for and not answered may be in use', () => {
    const asked = account({ hotAdded: [{ start: 1000, count: 20 }], perhapsAdded: [{ start: 1020, count: 20 }] })
    expect(unbacked(asked)).toEqual([{ start: 1040, count: 24 }])
  })

  test('that does not know all that was added says nothing of what lies behind', () => {
    expect(unbacked(account({ hotAdded: [{ start: 1000, count: 20 }], knowsHotAdded: false }))).toEqual([])
  })

  test('of frames that are no guest RAM does not matter, however many', () => {
    const far = { start: 2 ** 40, count: 2 ** 50 }
    expect(unbacked(account({ ballooned: [far], hotAdded: [far], perhapsAdded: [far] }))).toEqual([])
  })
})

describe('two accounts', () => {
  const one = account({ ballooned: [{ start: 0, count: 8 }], hotAdded: [{ start: 1000, count: 20 }] })

  test('that agree are one', () => {
    const word = dmHostWord(REGIONS, [one, one])
    expect([...word.unbacked.allRuns()]).toEqual(unbacked(one))
    expect(word.disputedFrames).toBe(0)
  })

  test('that contradict each other claim nothing of those frames', () => {
    const other = account({ ballooned: [{ start: 4, count: 8 }], hotAdded: [{ start: 1000, count: 40 }] })
    const word = dmHostWord(REGIONS, [one, other])
    expect([...word.unbacked.allRuns()]).toEqual([
      { start: 4, count: 4 },
      { start: 1040, count: 24 },
    ])
    expect(word.disputedFrames).toBe(8 + 20)
  })

  test('where one does not know the other counts', () => {
    const blind = account({ knowsBallooned: false, knowsHotAdded: false })
    expect(dmHostWord(REGIONS, [one, blind])).toEqual({ ...dmHostWord(REGIONS, [one]), disputedFrames: 0 })
  })

  test('never claim more than both, or the one that knows', () => {
    const frames = fc.array(fc.record({ start: fc.nat(1100), count: fc.integer({ min: 1, max: 40 }) }), {
      maxLength: 4,
    })
    const accounts = fc.record({
      ballooned: frames,
      hotAdded: frames,
      perhapsAdded: frames,
      knowsBallooned: fc.boolean(),
      knowsHotAdded: fc.boolean(),
    })
    const has = (ranges: DmRanges['ballooned'], pfn: number) =>
      ranges.some(({ start, count }) => start <= pfn && pfn < start + count)
    const isBeyond = (from: DmRanges, pfn: number) => {
      if (!from.knowsHotAdded || has(from.hotAdded, pfn) || has(from.perhapsAdded, pfn)) return false
      const region = REGIONS.find(({ start, count }) => start <= pfn && pfn < start + count) ?? BOOT
      for (let at = region.start; at < pfn; at++) if (has(from.hotAdded, at)) return true
      return false
    }
    fc.assert(
      fc.property(accounts, accounts, (a, b) => {
        const word = dmHostWord(REGIONS, [a, b])
        for (const { start, count } of REGIONS) {
          for (let pfn = start; pfn < start + count; pfn++) {
            const out = [has(a.ballooned, pfn), has(b.ballooned, pfn)]
            const beyond = [isBeyond(a, pfn), isBeyond(b, pfn)]
            const isDisputed =
              (out[0] && !out[1] && b.knowsBallooned) ||
              (out[1] && !out[0] && a.knowsBallooned) ||
              (beyond[0] && !beyond[1] && b.knowsHotAdded) ||
              (beyond[1] && !beyond[0] && a.knowsHotAdded)
            const isClaimed = !isDisputed && [...out, ...beyond].some(Boolean)
            if (word.unbacked.has(pfn) !== isClaimed) throw new Error(`frame ${pfn}`)
          }
        }
      }),
      { numRuns: 500 },
    )
  })
})
