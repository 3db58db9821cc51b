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

/** Of three chunks and a little more, so that operations take whole chunks, parts and their borders. */
const FRAMES = 100_000
const border = fc.constantFrom(0, 1, 31, 32, 32_767, 32_768, 32_769, 65_535, 65_536, 98_304, 99_999)
const somewhere = fc.oneof(border, fc.integer({ min: 0, max: FRAMES - 1 }))
const change = fc.record({ add: fc.boolean(), from: somewhere, to: somewhere })

function expectSame(set: PfnSet, plain: Uint8Array): void {
  const runs: PfnRange[] = []
  for (let pfn = 0; pfn < FRAMES; ) {
    let end = pfn
    while (end < FRAMES && plain[end] === plain[pfn]) end++
    if (plain[pfn] === 1) runs.push({ start: pfn, count: end - pfn })
    pfn = end
  }
  expect([...set.allRuns()]).toEqual(runs)
  expect(set.size).toBe(plain.reduce((sum, bit) => sum + bit, 0))
}

test('agrees with a plain array where whole chunks are added and deleted', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), fc.array(somewhere, { maxLength: 20 }), (changes, asked) => {
      const set = new PfnSet()
      const plain = new Uint8Array(FRAMES)
      for (const { add, from, to } of changes) {
        const range = { start: Math.min(from, to), count: Math.abs(to - from) }
        if (add) set.add(range)
        else set.delete(range)
        plain.fill(add ? 1 : 0, range.start, range.start + range.count)
      }
      expectSame(set, plain)
      // In any order, so that no question profits from the one before it.
      for (const pfn of asked) {
        expect(set.has(pfn)).toBe(plain[pfn] === 1)
        for (const wanted of [true, false]) {
          const next = plain.indexOf(wanted ? 1 : 0, pfn)
          expect(set.next(pfn, wanted, FRAMES)).toBe(next === -1 ? FRAMES : next)
        }
      }
    }),
    { numRuns: 100 },
  )
})

test('agrees with a plain array over many runs in ascending order, with others added and deleted among them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 30 })), {
        maxLength: 3000,
        size: 'max',
      }),
      fc.array(change, { maxLength: 3 }),
      (runs, changes) => {
        const set = new PfnSet()
        const plain = new Uint8Array(FRAMES)
        let at = 0
        for (const [gap, count] of runs) {
          if (at + gap + count > FRAMES) break
          set.add({ start: at + gap, count })
          plain.fill(1, at + gap, at + gap + count)
          at += gap + count
        }
        expectSame(set, plain)
        for (const { add, from, to } of changes) {
          const start = Math.min(from, to)
          const count = Math.min(Math.abs(to - from), 500)
          if (add) set.add({ start, count })
          else set.delete({ start, count })
          plain.fill(add ? 1 : 0, start, start + count)
        }
        expectSame(set, plain)
      },
    ),
    { numRuns: 40 },
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
