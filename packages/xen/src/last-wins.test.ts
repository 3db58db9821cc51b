import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameRuns } from './frame-runs.ts'
import { lastWins } from './last-wins.ts'

const run = fc.record({
  from: fc.nat(40),
  to: fc.integer({ min: -50, max: 50 }),
  count: fc.integer({ min: 1, max: 9 }),
})

test('holds for each number what was said last, in order', () => {
  fc.assert(
    fc.property(fc.array(run, { maxLength: 30 }), (said) => {
      const log = new FrameRuns(3)
      const truth = new Map<number, number>()
      for (const { from, to, count } of said) {
        // What is negative stands for nothing, all of the run.
        const start = to < 0 ? to - 1000 : to
        log.addRun({ from, to: start, count })
        for (let i = 0; i < count; i++) {
          if (to < 0) truth.delete(from + i)
          else truth.set(from + i, start + i * 3)
        }
      }
      const found = lastWins(log)
      for (let i = 0; i < 52; i++) expect(found.get(i)).toBe(truth.get(i))
      expect(found.countFrames()).toBe(truth.size)
      for (let i = 1; i < found.length; i++) {
        expect(found.at(i).from).toBeGreaterThanOrEqual(found.at(i - 1).from + found.at(i - 1).count)
      }
      expect(found.length).toBeLessThan(Math.max(1, 2 * log.length))
    }),
  )
})
