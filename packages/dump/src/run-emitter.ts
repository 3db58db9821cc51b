import type { PlanRun } from './dump-plan.ts'

/** Joins what windows and protection cut, so that runs are maximal in class, state and fate. */
export class RunEmitter {
  readonly #onRun: (run: PlanRun) => void
  #open: { start: number; count: number; guestClass: number; hostState: number; fate: number } | undefined

  constructor(onRun: (run: PlanRun) => void) {
    this.#onRun = onRun
  }

  /** Ascending. */
  add(run: PlanRun): void {
    const open = this.#open
    if (
      open &&
      open.start + open.count === run.start &&
      open.guestClass === run.guestClass &&
      open.hostState === run.hostState &&
      open.fate === run.fate
    ) {
      open.count += run.count
      return
    }
    this.flush()
    this.#open = { ...run }
  }

  flush(): void {
    if (this.#open) this.#onRun(this.#open)
    this.#open = undefined
  }
}
