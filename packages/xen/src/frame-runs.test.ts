import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameRuns } from './frame-runs.ts'
import { invertRuns } from './invert-runs.ts'

test('is the map that was put in, and turned round the inverse of it', () => {
  const entries = fc.uniqueArray(fc.tuple(fc.nat(60), fc.nat(60)), { selector: ([from]) => from })
  fc.assert(
    fc.property(entries, (pairs) => {
      const sorted = pairs.toSorted(([a], [b]) => a - b)
      const runs = new FrameRuns()
      const inverse = new Map<number, number>()
      for (const [from, to] of sorted) {
        runs.add(from, to)
        if (!inverse.has(to)) inverse.set(to, from)
      }
      const { runs: turned, repeated } = invertRuns(runs)
      const map = new Map(sorted)
      expect(runs.countFrames()).toBe(sorted.length)
      expect(repeated).toBe(sorted.length - inverse.size)
      for (let i = 0; i < 62; i++) {
        expect(runs.get(i)).toBe(map.get(i))
        expect(turned.get(i)).toBe(inverse.get(i))
      }
    }),
  )
})

test('joins what counts up together, and grows', () => {
  const runs = new FrameRuns()
  for (let i = 0; i < 10_000; i++) runs.add(i, i + 7)
  expect(runs.length).toBe(1)
  for (let i = 0; i < 10_000; i++) runs.add(20_000 + 2 * i, i)
  expect(runs.length).toBe(10_001)
  expect(runs.get(20_002)).toBe(1)
  expect(runs.get(20_003)).toBeUndefined()
  expect(runs.end).toBe(39_999)
  expect(() => runs.at(10_001)).toThrow(RangeError)
})
