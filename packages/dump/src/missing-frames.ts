import { endOf, type PfnRange } from '@ullage/pages'
import type { MissingRun, Touch } from './missing-runs.ts'
import { RamAndBeyond } from './ram-and-beyond.ts'

/** Runs that are listed: a guest can make as many as it has frames. */
const MAX_LISTED = 65_536

/** Classes that a balloon has no frames of. */
const NEVER_BALLOONED: readonly MissingRun['guest'][] = [null, 'free', 'noStructPage']

/** What is missing: the first runs one by one, and all frames as a set. First what is no guest RAM, then ascending. */
export class MissingFrames {
  readonly all: RamAndBeyond
  /** Those that the host has to do something about: not frames that were only never touched. */
  readonly lost: RamAndBeyond
  readonly byTouch: Record<Touch, number> = { nothing: 0, filled: 0, taken: 0 }
  /** Maximal runs, as long as they are not too many. */
  readonly listed: MissingRun[] = []
  /** Frames in runs that are not listed. */
  unlisted = 0
  /** Frames that a balloon may have. */
  perhapsBallooned = 0
  readonly #offlineTold: boolean

  /** @param extents guest RAM, ascending and disjoint. */
  constructor(extents: readonly PfnRange[], options: { readonly offlineTold: boolean }) {
    this.all = new RamAndBeyond(extents)
    this.lost = new RamAndBeyond(extents)
    this.#offlineTold = options.offlineTold
  }

  add(run: MissingRun): void {
    this.byTouch[run.touch] += run.count
    this.all.add(run)
    const isOffline = run.guest === 'offline' || run.guest === 'unknown'
    if (run.touch === 'nothing' || isOffline) this.lost.add(run)
    if (isOffline || (!this.#offlineTold && !NEVER_BALLOONED.includes(run.guest))) this.perhapsBallooned += run.count
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
