import { endOf, type PfnRange, PfnSet } from '@ullage/pages'
import type { MissingRun, Touch } from './missing-runs.ts'

/** Runs that are listed: a guest can make as many as it has frames. */
const MAX_LISTED = 65_536

/** What is missing, gathered in ascending order: the first runs one by one, and all frames as a set. Two bits a frame. */
export class MissingFrames {
  readonly all = new PfnSet()
  /** Those that the host has to do something about: not frames that were only never touched. */
  readonly lost = new PfnSet()
  readonly byTouch: Record<Touch, number> = { nothing: 0, filled: 0, taken: 0 }
  /** Maximal runs, as long as they are not too many. */
  readonly listed: MissingRun[] = []
  /** Frames in runs that are not listed. */
  unlisted = 0

  add(run: MissingRun): void {
    this.byTouch[run.touch] += run.count
    this.all.add(run)
    if (run.touch === 'nothing' || run.guest === 'offline' || run.guest === 'unknown') this.lost.add(run)
    const last = this.listed.at(-1)
    if (last && this.unlisted === 0 && continues(last, run)) {
      this.listed[this.listed.length - 1] = { ...last, count: last.count + run.count }
    } else if (this.listed.length < MAX_LISTED) this.listed.push(run)
    else this.unlisted += run.count
  }

  countIn(range: PfnRange): number {
    return this.all.countIn(range)
  }
}

function continues(last: MissingRun, run: MissingRun): boolean {
  return endOf(last) === run.start && last.guest === run.guest && last.host === run.host && last.touch === run.touch
}
