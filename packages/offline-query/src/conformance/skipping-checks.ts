import assert from 'node:assert/strict'
import { cutRange, endOf, intersect, mergeRanges, type PfnRange } from '@ullage/pages'
import type { BackingRun } from '../offline-query.ts'
import type { OpenGuest } from '../open-guest.ts'
import type { ConformanceFixture, ConformanceOptions, ConformanceRunner, GuestTruth } from './conformance-fixture.ts'
import { expectedRuns, expectedSkipping } from './expected-runs.ts'
import { edgesOf, windows, wholeSpace } from './windows.ts'
import { collectRuns, describeError, thrownBy, withFixture } from './with-fixture.ts'

/** The rules of `skip`. */
export function skippingChecks({ describe, it }: ConformanceRunner, { open }: ConformanceOptions): void {
  const check = (name: string, body: (fixture: ConformanceFixture) => Promise<void>) =>
    it(name, () => withFixture(open, body))

  describe('frames that may be skipped', () => {
    check('are told apart from all others, without gaps', async ({ guest, truth }) => {
      for (const { within, skip } of questions(guest, truth)) {
        assertAnswer(await collectRuns(guest.backing, within, skip), { within, skip }, guest, truth)
      }
    })

    check('are none when none are named', async ({ guest, truth }) => {
      const within = wholeSpace(guest.memory.extents)
      const { capabilities } = guest.backing
      assert.deepEqual(await collectRuns(guest.backing, within, []), expectedRuns(truth, within, capabilities))
      const beyond = [{ start: endOf(within) + 100, count: 50 }]
      assert.deepEqual(await collectRuns(guest.backing, within, beyond), expectedRuns(truth, within, capabilities))
    })

    check('are not asked about where questions are costly', async ({ guest, truth, asked }) => {
      if (!guest.backing.capabilities.costly) return
      assert.ok(asked ?? guest.hypervisor, 'the fixture of a costly backend tells what the hypervisor was asked')
      if (asked) {
        for (const { within, skip } of questions(guest, truth)) {
          const before: number = asked().length
          await collectRuns(guest.backing, within, skip)
          const added: readonly PfnRange[] = asked().slice(before)
          for (const range of added) {
            const wrong = skip.find((skipped) => intersect(skipped, range))
            assert.equal(
              wrong,
              undefined,
              `${show(within)}: ${show(range)} was asked about, ${wrong && show(wrong)} not wanted`,
            )
          }
        }
      }
      if (guest.hypervisor) {
        const within = wholeSpace(guest.memory.extents)
        const own = await questionsOf(guest)
        const before = await questionsOf(guest)
        await collectRuns(guest.backing, within, [within])
        const after = await questionsOf(guest)
        assert.equal(after - before, before - own, 'questions asked while every frame may be skipped')
      }
    })

    check('are ascending and disjoint, or refused where they are heeded', async ({ guest }) => {
      if (!guest.backing.capabilities.costly) return
      const within = wholeSpace(guest.memory.extents)
      for (const skip of [
        [
          { start: 8, count: 4 },
          { start: 0, count: 4 },
        ],
        [
          { start: 0, count: 8 },
          { start: 4, count: 8 },
        ],
        [{ start: -1, count: 4 }],
        [{ start: 0.5, count: 1 }],
        [{ start: 0, count: 0 }],
      ]) {
        const error = await thrownBy(() => collectRuns(guest.backing, within, skip))
        assert.ok(error instanceof RangeError, `${JSON.stringify(skip)} gave ${describeError(error)}`)
      }
    })
  })
}

interface Question {
  readonly within: PfnRange
  readonly skip: readonly PfnRange[]
}

/** What may be skipped cut in every way: at edges of runs and extents, inside them, outside RAM, all of it. */
function questions({ memory }: OpenGuest, truth: GuestTruth): Question[] {
  const whole = wholeSpace(memory.extents)
  const edges = edgesOf(memory.extents, truth)
  const around = edges.map((edge) => ({ start: Math.max(0, edge - 2), count: 4 }))
  const betweenEdges = edges.flatMap((edge, i) => {
    const next = edges[i + 1]
    return i % 2 === 0 && next !== undefined && next > edge ? [{ start: edge, count: next - edge }] : []
  })
  const skips = [[whole], mergeRanges(around), betweenEdges, [{ start: 0, count: endOf(whole) * 2 }]]
  const found: Question[] = skips.map((skip) => ({ within: whole, skip }))
  windows(memory.extents, truth).forEach((within, i) => {
    found.push({ within, skip: skips[i % skips.length] as PfnRange[] })
  })
  return found
}

function assertAnswer(runs: readonly BackingRun[], question: Question, guest: OpenGuest, truth: GuestTruth): void {
  const { within, skip } = question
  const { capabilities } = guest.backing
  const extents = mergeRanges(guest.memory.extents)
  const skipping = expectedSkipping(truth, { within, skip, extents }, capabilities)
  if (capabilities.costly) {
    assert.deepEqual(runs, skipping, show(within))
    return
  }
  // Whoever need not heed `skip` may do so in part: the states of all other frames are what they are.
  let at = within.start
  for (const run of runs) {
    assert.equal(run.start, at, `${show(within)}: frame after ${at - 1}`)
    at = endOf(run)
    for (const { inside, ...piece } of cutRange(run, skip)) {
      const states =
        inside && run.state === 'unknown'
          ? ['unknown']
          : expectedRuns(truth, piece, capabilities).map(({ state }) => state)
      assert.deepEqual(states, [run.state], `${show(within)}: states of ${show(piece)}`)
    }
  }
  assert.equal(at, endOf(within), `${show(within)}: end`)
}

async function questionsOf(guest: OpenGuest): Promise<number> {
  const figures = await guest.hypervisor?.()
  const questions = figures?.questions ?? Number.NaN
  assert.ok(Number.isSafeInteger(questions) && questions >= 0, `${questions} questions`)
  return questions
}

function show(range: PfnRange): string {
  return `[${range.start}, ${endOf(range)})`
}
