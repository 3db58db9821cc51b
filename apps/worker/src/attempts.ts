/**
 * What runs of the jobs that a worker took. One job may be here twice: it was given away while its lock was lost, taken again, and
 * the first attempt has not ended yet. BullMQ's own list has it once, and forgets the second attempt with the first.
 */
export class Attempts {
  readonly #running = new Set<{ readonly job: string; readonly told: AbortController }>()

  get count(): number {
    return this.#running.size
  }

  /** Ids of the jobs that are run. */
  get jobs(): ReadonlySet<string> {
    return new Set([...this.#running].map(({ job }) => job))
  }

  /** Runs `work` as an attempt at `job`. `told` is what tells it to end, with the reason. */
  async run<Result>(job: string, work: (told: AbortController) => Promise<Result>): Promise<Result> {
    const attempt = { job, told: new AbortController() }
    this.#running.add(attempt)
    try {
      return await work(attempt.told)
    } finally {
      this.#running.delete(attempt)
    }
  }

  /** Tells each attempt at `job` to end, and says whether one had not been told before. */
  end(job: string, reason: string): boolean {
    const toTell = [...this.#running].filter((each) => each.job === job && !each.told.signal.aborted)
    for (const { told } of toTell) told.abort(reason)
    return toTell.length > 0
  }

  endAll(reason: string): void {
    for (const { told } of this.#running) told.abort(reason)
  }
}
