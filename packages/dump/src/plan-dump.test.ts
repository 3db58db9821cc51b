import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PfnSet } from '@ullage/pages'
import { FATE, GUEST_CLASS, guestClasses, HOST_STATE, hostStates } from './frame-codes.ts'
import { type DumpPlan, type PlanRun, planDump, type Witnesses } from './plan-dump.ts'
import { countFrames, findDisagreements } from './report.ts'
import { decideVerdicts, type Policy, verdictIndex } from './verdict.ts'

const policy: Policy = { level: 31, trust: 'guest', unbackedReads: 'zeros', offlineTold: true }

/** Two extents around a window border, with a hole between them. */
const extents = [
  { start: 32_700, count: 200 },
  { start: 70_000, count: 100 },
]
const total = 300

function plan(
  classes: Uint8Array,
  states: Uint8Array,
  protectedFrames: { start: number; count: number }[],
  use = policy,
  idle = new PfnSet(),
  notDumped: { start: number; count: number }[] = [],
) {
  const at = (pfn: number) => (pfn < 70_000 ? pfn - 32_700 : pfn - 70_000 + 200)
  const runs: PlanRun[] = []
  const witnesses: Witnesses = {
    extents,
    classify: (window, into) => {
      into.start(window.count)
      into.addCodes(0, classes.subarray(at(window.start), at(window.start) + window.count))
    },
    host: {
      stateAt: (pfn) => states[at(pfn)] as number,
      endOfState: (pfn, limit) => {
        let end = pfn + 1
        while (end < limit && states[at(end)] === states[at(pfn)]) end++
        return end
      },
    },
    protectedFrames,
    notDumped,
    countIdle: (range) => idle.countIn(range),
    canRead: (pfn) => pfn % 2 === 0,
  }
  const made = planDump(witnesses, use, (run) => runs.push({ ...run }))
  // Without anybody who wants to know the runs much of it goes another way.
  expect(contentOf(planDump(witnesses, use))).toEqual(contentOf(made))
  return { made, runs, at }
}

function contentOf({ write, zero, present, ...rest }: DumpPlan) {
  return { ...rest, write: [...write.allRuns()], zero: [...zero.allRuns()], present: [...present.allRuns()] }
}

const codes = (count: number) => fc.uint8Array({ minLength: total, maxLength: total, max: count - 1 })

test('accounts for every frame, once, and agrees with the verdict frame by frame', () => {
  fc.assert(
    fc.property(
      codes(guestClasses.length),
      codes(hostStates.length),
      fc.array(fc.record({ start: fc.integer({ min: 32_650, max: 32_850 }), count: fc.integer({ min: 1, max: 60 }) })),
      (classes, states, protectedFrames) => {
        const { made, runs, at } = plan(classes, states, protectedFrames)
        expect(made.total).toBe(total)
        expect(made.counts.reduce((a, b) => a + b, 0)).toBe(total)
        expect(made.fates.reduce((a, b) => a + b, 0)).toBe(total)
        const verdicts = decideVerdicts(policy)
        for (const extent of extents) {
          for (let pfn = extent.start; pfn < extent.start + extent.count; pfn++) {
            const guarded = protectedFrames.some((range) => pfn >= range.start && pfn < range.start + range.count)
            const index = verdictIndex(classes[at(pfn)] as number, states[at(pfn)] as number, guarded)
            expect(made.write.has(pfn)).toBe(verdicts.fate[index] === FATE.write)
            expect(made.zero.has(pfn)).toBe(verdicts.fate[index] === FATE.zero)
            expect(made.present.has(pfn)).toBe(
              classes[at(pfn)] !== GUEST_CLASS.noStructPage || states[at(pfn)] !== HOST_STATE.unbacked,
            )
          }
        }
        let next = extents[0]?.start
        for (const [i, run] of runs.entries()) {
          if (next === 32_900) next = 70_000
          expect(run.start).toBe(next)
          const before = runs[i - 1]
          if (before && before.start + before.count === run.start) {
            expect([before.guestClass, before.hostState, before.fate]).not.toEqual([
              run.guestClass,
              run.hostState,
              run.fate,
            ])
          }
          next = run.start + run.count
        }
        expect(next).toBe(70_100)
        const report = countFrames(made)
        expect(report.byFate.write + report.byFate.zero + report.byFate.leaveOut).toBe(total)
      },
    ),
    { numRuns: 50 },
  )
})

test('with trust both a hwpoison claim holds only where the host cannot read the frame', () => {
  const classes = new Uint8Array(total).fill(GUEST_CLASS.hwpoison)
  const { made } = plan(classes, new Uint8Array(total), [], { ...policy, trust: 'both' })
  expect(made.write.has(32_700)).toBe(true)
  expect(made.write.has(32_701)).toBe(false)
  expect(made.write.size).toBe(total / 2)
})

test('raises the alarm for protected frames without memory, and for more than 1 % of frames in use', () => {
  const classes = new Uint8Array(total).fill(GUEST_CLASS.inUse)
  const states = new Uint8Array(total)
  states.fill(HOST_STATE.unbacked, 0, 3)
  expect(findDisagreements(plan(classes, states, []).made, 4096)).toMatchObject({ inUseUnbacked: 3, alarm: false })
  states.fill(HOST_STATE.unbacked, 0, 4)
  expect(findDisagreements(plan(classes, states, []).made, 4096)).toMatchObject({ untouched: 4, alarm: true })
  const one = new Uint8Array(total)
  one[7] = HOST_STATE.unbacked
  expect(findDisagreements(plan(classes, one, [{ start: 32_707, count: 1 }]).made, 4096)).toMatchObject({
    protectedUnbacked: 1,
    alarm: true,
  })
})

test('offline frames that the host still pays for, resident or swapped out, are told as reclaimable', () => {
  const classes = new Uint8Array(total).fill(GUEST_CLASS.offline, 0, 200)
  classes.fill(GUEST_CLASS.inUse, 200)
  const states = new Uint8Array(total).fill(HOST_STATE.backed)
  states.fill(HOST_STATE.unbacked, 0, 120)
  states.fill(HOST_STATE.swapped, 120, 130)
  const { made } = plan(classes, states, [])
  expect(findDisagreements(made, 4096)).toMatchObject({ reclaimableBytes: 80 * 4096, alarm: false })
  expect(countFrames(made).byFate.leaveOut).toBe(200)
})

test('where the kernel cannot say offline, frames without memory are no alarm and are counted as that', () => {
  const classes = new Uint8Array(total).fill(GUEST_CLASS.inUse)
  const states = new Uint8Array(total)
  states.fill(HOST_STATE.unbacked, 0, 50)
  const idle = PfnSet.of([{ start: 32_700, count: 40 }])
  const made = plan(classes, states, [{ start: 32_700, count: 10 }], { ...policy, offlineTold: false }, idle).made
  expect(findDisagreements(made, 4096)).toMatchObject({
    inUseUnbacked: 50,
    offlineUntold: 40,
    idleUnbacked: 0,
    protectedUnbacked: 0,
    alarm: false,
  })
})

test('memory freed by the kernel image and given to the balloon is no alarm', () => {
  const classes = new Uint8Array(total).fill(GUEST_CLASS.inUse)
  const states = new Uint8Array(total)
  classes[5] = GUEST_CLASS.offline
  states[5] = HOST_STATE.unbacked
  const made = plan(classes, states, [{ start: 32_700, count: 200 }]).made
  expect(findDisagreements(made, 4096)).toMatchObject({ protectedUnbacked: 0, alarm: false })
})

test('frames that wait on a list of the kernel’s are no alarm, however many', () => {
  const classes = new Uint8Array(total).fill(GUEST_CLASS.inUse)
  const states = new Uint8Array(total)
  states.fill(HOST_STATE.unbacked, 0, 20)
  const idle = PfnSet.of([{ start: 32_700, count: 18 }])
  const made = plan(classes, states, [{ start: 32_700, count: 10 }], policy, idle).made
  expect(findDisagreements(made, 4096)).toMatchObject({ inUseUnbacked: 20, idleUnbacked: 18, alarm: false })
})

test('what the source lists as not dumped is neither missing nor an alarm', () => {
  const classes = new Uint8Array(total).fill(GUEST_CLASS.inUse)
  const states = new Uint8Array(total)
  states.fill(HOST_STATE.unbacked, 10, 50)
  const use = { ...policy, unbackedReads: 'nothing' as const }
  const listed = [
    { start: 0, count: 32_720 },
    { start: 32_730, count: 20 },
  ]
  const { made } = plan(classes, states, [], use, new PfnSet(), listed)
  expect(findDisagreements(made, 4096)).toMatchObject({ inUseUnbacked: 40, missing: 10, alarm: true })
  const all = plan(classes, states, [], use, new PfnSet(), [{ start: 0, count: 40_000 }]).made
  expect(findDisagreements(all, 4096)).toMatchObject({ inUseUnbacked: 40, missing: 0, alarm: false })
  expect(all.counts.reduce((a, b) => a + b, 0)).toBe(total)
})
