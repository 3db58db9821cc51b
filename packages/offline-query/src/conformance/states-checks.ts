import assert from 'node:assert/strict'
import { endOf, type PfnRange } from '@ullage/pages'
import { type BackingRun, hostStates } from '../offline-query.ts'
import type { ConformanceFixture, ConformanceOptions, ConformanceRunner } from './conformance-fixture.ts'
import { expectedRuns } from './expected-runs.ts'
import { windows, wholeSpace } from './windows.ts'
import { collectRuns, describeError, isOfflineError, thrownBy, withFixture } from './with-fixture.ts'

/** The rules of `OfflineQuery.backing`. */
export function statesChecks({ describe, it }: ConformanceRunner, { open, openFailing }: ConformanceOptions): void {
  const forWindows = (name: string, check: (runs: BackingRun[], within: PfnRange, of: ConformanceFixture) => void) =>
    it(name, () =>
      withFixture(open, async (fixture) => {
        for (const within of windows(fixture.guest.memory.extents, fixture.truth)) {
          check(await collectRuns(fixture.guest.backing, within), within, fixture)
        }
      }),
    )

  describe('states of frames', () => {
    forWindows('are runs of whole frames, in one of the four states', (runs, within) => {
      for (const run of runs) {
        const whole = Number.isSafeInteger(run.start) && Number.isSafeInteger(run.count) && run.count > 0
        assert.ok(whole && hostStates.includes(run.state), `${show(within)}: found ${JSON.stringify(run)}`)
      }
    })

    forWindows('ascend and are disjoint', (runs, within) => {
      for (const [before, after] of neighbours(runs)) {
        assert.ok(after.start >= endOf(before), `${show(within)}: ${show(after)} after ${show(before)}`)
      }
    })

    forWindows('have no gaps, from the first frame asked for to the last', (runs, within) => {
      assert.equal(runs[0]?.start, within.start, `${show(within)}: first frame`)
      for (const [before, after] of neighbours(runs)) {
        assert.equal(after.start, endOf(before), `${show(within)}: frame after ${show(before)}`)
      }
      assert.equal(endOf(runs.at(-1) as BackingRun), endOf(within), `${show(within)}: end`)
    })

    forWindows('are clipped to what was asked for', (runs, within) => {
      for (const run of runs) {
        const inside = run.start >= within.start && endOf(run) <= endOf(within)
        assert.ok(inside, `${show(within)}: found ${show(run)}`)
      }
    })

    forWindows('are maximal: neighbours differ', (runs, within) => {
      for (const [before, after] of neighbours(runs)) {
        assert.notEqual(before.state, after.state, `${show(within)}: ${show(before)} and ${show(after)}`)
      }
    })

    forWindows('agree with the truth', (runs, within, { guest, truth }) => {
      assert.deepEqual(runs, expectedRuns(truth, within, guest.backing.capabilities), show(within))
    })

    forWindows('are unbacked outside guest RAM', (runs, within, { guest }) => {
      for (const run of runs) {
        if (run.state === 'unbacked') continue
        const covered = guest.memory.extents.reduce((sum, extent) => sum + overlap(extent, run), 0)
        assert.equal(covered, run.count, `${show(within)}: frames of ${show(run)} (${run.state}) in guest RAM`)
      }
    })

    it('are the same when asked again, and by two at once', () =>
      withFixture(open, async ({ guest, truth }) => {
        const within = wholeSpace(guest.memory.extents)
        const expected = expectedRuns(truth, within, guest.backing.capabilities)
        const [one, two] = await bothAtOnce(guest.backing.backing({ within }), guest.backing.backing({ within }))
        assert.deepEqual(one, expected)
        assert.deepEqual(two, expected)
        assert.deepEqual(await collectRuns(guest.backing, within), expected)
      }))

    it('keep what the capabilities promise', () =>
      withFixture(open, async ({ guest, truth }) => {
        const before = { ...guest.backing.capabilities }
        const { granularity, snapshot, tellsSwapped, unbackedReads, costly } = before
        assert.ok(Number.isSafeInteger(granularity) && granularity >= 1, `granularity ${granularity}`)
        assert.equal(typeof snapshot, 'boolean')
        assert.ok(costly === undefined || typeof costly === 'boolean', `costly ${costly}`)
        assert.ok(unbackedReads === 'zeros' || unbackedReads === 'nothing', `unbackedReads ${unbackedReads}`)
        const { extents } = guest.memory
        const edges = new Set(extents.flatMap((extent) => [extent.start, endOf(extent)]))
        const within = wholeSpace(extents)
        const runs = await collectRuns(guest.backing, within)
        for (const run of runs) {
          const fits = run.start === within.start || edges.has(run.start) || run.start % granularity === 0
          assert.ok(fits, `${show(run)} begins inside a grain of ${granularity} frames`)
        }
        const swapped = runs.some((run) => run.state === 'swapped')
        assert.equal(swapped, tellsSwapped && truth.states.some((run) => run.state === 'swapped'), 'swapped is told')
        assert.deepEqual({ ...guest.backing.capabilities }, before)
      }))

    it('refuse what is no range of frames', () =>
      withFixture(open, async ({ guest }) => {
        for (const within of [
          { start: -1, count: 4 },
          { start: 0, count: 0 },
          { start: 0.5, count: 1 },
          { start: 0, count: Number.NaN },
        ]) {
          const error = await thrownBy(() => collectRuns(guest.backing, within))
          assert.ok(error instanceof RangeError, `${JSON.stringify(within)} gave ${describeError(error)}`)
        }
      }))
  })

  if (!openFailing) return
  describe('states of frames that cannot be told', () => {
    it('come out as an OfflineError, never as an early end', () =>
      withFixture(openFailing, async ({ guest }) => {
        const within = wholeSpace(guest.memory.extents)
        const error = await thrownBy(() => collectRuns(guest.backing, within))
        assert.ok(isOfflineError(error), `expected an OfflineError, found ${describeError(error)}`)
      }))
  })
}

function neighbours(runs: readonly BackingRun[]): [BackingRun, BackingRun][] {
  return runs.slice(1).map((run, i) => [runs[i] as BackingRun, run])
}

function overlap(a: PfnRange, b: PfnRange): number {
  return Math.max(0, Math.min(endOf(a), endOf(b)) - Math.max(a.start, b.start))
}

function show(range: PfnRange): string {
  return `[${range.start}, ${endOf(range)})`
}

/** Takes from both in turn, so that state shared between two iterations shows. */
async function bothAtOnce(
  one: AsyncIterable<BackingRun>,
  two: AsyncIterable<BackingRun>,
): Promise<[BackingRun[], BackingRun[]]> {
  const iterators = [one[Symbol.asyncIterator](), two[Symbol.asyncIterator]()] as const
  const runs: [BackingRun[], BackingRun[]] = [[], []]
  const done = [false, false]
  for (let turn = 0; !done.every(Boolean); turn++) {
    const i = turn % 2 === 0 ? 0 : 1
    if (done[i]) continue
    const next = await iterators[i].next()
    if (next.done) done[i] = true
    else runs[i].push({ start: next.value.start, count: next.value.count, state: next.value.state })
  }
  return runs
}
