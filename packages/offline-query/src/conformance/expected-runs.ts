import { cutRange, endOf, type PfnRange } from '@ullage/pages'
import type { BackingRun, HostState, OfflineCapabilities } from '../offline-query.ts'
import type { GuestTruth } from './conformance-fixture.ts'

/** The runs that a right backend yields for `within`: the truth, clipped, gapless and maximal. */
export function expectedRuns(truth: GuestTruth, within: PfnRange, capabilities: OfflineCapabilities): BackingRun[] {
  const runs: { start: number; count: number; state: HostState }[] = []
  const add = (start: number, end: number, state: HostState): void => {
    if (end <= start) return
    const last = runs.at(-1)
    if (last?.state === state) last.count += end - start
    else runs.push({ start, count: end - start, state })
  }
  const limit = endOf(within)
  let at = within.start
  for (const run of truth.states) {
    const start = Math.min(Math.max(run.start, at), limit)
    const end = Math.min(endOf(run), limit)
    if (end <= start) continue
    add(at, start, 'unbacked')
    add(start, end, run.state === 'swapped' && !capabilities.tellsSwapped ? 'backed' : run.state)
    at = end
  }
  add(at, limit, 'unbacked')
  return runs
}

/** The runs that a right `costly` backend yields when it may skip `skip`: in guest RAM `unknown`, elsewhere the truth. */
export function expectedSkipping(
  truth: GuestTruth,
  asked: { within: PfnRange; skip: readonly PfnRange[]; extents: readonly PfnRange[] },
  capabilities: OfflineCapabilities,
): BackingRun[] {
  const runs: { start: number; count: number; state: HostState }[] = []
  for (const inRam of cutRange(asked.within, asked.extents)) {
    for (const piece of cutRange(inRam, asked.skip)) {
      const isSkipped = inRam.inside && piece.inside
      const pieces = isSkipped ? [{ ...piece, state: 'unknown' as const }] : expectedRuns(truth, piece, capabilities)
      for (const { start, count, state } of pieces) {
        const last = runs.at(-1)
        if (last?.state === state) last.count += count
        else runs.push({ start, count, state })
      }
    }
  }
  return runs
}

/** True state of one frame. */
export function trueState(truth: GuestTruth, pfn: number): HostState {
  return truth.states.find((run) => run.start <= pfn && pfn < endOf(run))?.state ?? 'unbacked'
}
