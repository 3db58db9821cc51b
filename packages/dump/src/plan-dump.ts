import { endOf, type PfnRange, PfnSet } from '@ullage/pages'
import type { DumpPlan, PlanRun } from './dump-plan.ts'
import { ClassRuns } from './frame-codes.ts'
import { PlanBuilder } from './plan-builder.ts'
import type { Policy } from './verdict.ts'
import { windowsOf } from './windows-of.ts'

export type { DumpPlan, PlanRun } from './dump-plan.ts'

/** What the host says of frames. */
export interface HostWord {
  /** `HOST_STATE` code of a frame of guest RAM. */
  stateAt(pfn: number): number
  /** First frame after `pfn` and below `limit` whose state is another, or `limit`. All up to there are guest RAM. */
  endOfState(pfn: number, limit: number): number
}

/** What the two witnesses say, asked window by window. */
export interface Witnesses {
  /** Guest RAM, in any order. */
  readonly extents: readonly PfnRange[]
  /** Finds the class of each frame of `window`. */
  classify(window: PfnRange, into: ClassRuns): void
  readonly host: HostWord
  /** Frames that no level may leave out. */
  readonly protectedFrames: readonly PfnRange[]
  /** Frames that the source lists as not dumped, in guest RAM or not: none of them is missing. */
  readonly notDumped: readonly PfnRange[]
  /** Number of frames of `range` that are in use by class but held by nobody: they wait on a list of the kernel's. */
  countIdle(range: PfnRange): number
  /** True when the host can read this frame. Asked for frames the guest calls poisoned when the guest is not trusted. */
  canRead(pfn: number): boolean
}

/**
 * Decides the fate of every frame of guest RAM, run by run. Reads no page content and does no I/O of its own. `onRun` is
 * told every run, ascending and gapless over guest RAM. Memory: a bit a frame for each set of the plan, only where 32768
 * neighbours are not all alike in it, and the runs of one window.
 */
export function planDump(witnesses: Witnesses, policy: Policy, onRun?: (run: PlanRun) => void): DumpPlan {
  const { host } = witnesses
  const protectedSet = PfnSet.of(witnesses.protectedFrames)
  const builder = new PlanBuilder(witnesses, policy, onRun)
  const classes = new ClassRuns()
  for (const window of windowsOf(witnesses.extents)) {
    witnesses.classify(window, classes)
    const end = endOf(window)
    let pfn = window.start
    let [hostState, hostEnd] = [0, pfn]
    let [guard, guardEnd] = [false, pfn]
    for (let i = 0; i < classes.length; i++) {
      const guestClass = classes.codes[i] as number
      const classEnd = window.start + classes.endOf(i)
      while (pfn < classEnd) {
        if (pfn === hostEnd) {
          hostState = host.stateAt(pfn)
          hostEnd = host.endOfState(pfn, end)
        }
        if (pfn === guardEnd) {
          guard = protectedSet.has(pfn)
          guardEnd = protectedSet.next(pfn, !guard, end)
        }
        const runEnd = Math.min(classEnd, hostEnd, guardEnd)
        builder.add(pfn, runEnd, guestClass, hostState, guard)
        pfn = runEnd
      }
    }
  }
  return builder.finish()
}
