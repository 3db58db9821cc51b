import type { Worker } from 'bullmq'

/** Why no dump is begun although the worker runs. */
export type NotNow = 'drained' | 'redisTakesNoWrites'

/** Has a worker take jobs only while there is no reason not to. What it has it finishes. */
export class TakingJobs {
  readonly #worker: Pick<Worker, 'isPaused' | 'pause' | 'resume'>
  readonly #reasons = new Set<NotNow>()

  constructor(worker: Pick<Worker, 'isPaused' | 'pause' | 'resume'>) {
    this.#worker = worker
  }

  /** Whether jobs are left alone, for whichever reason. */
  get isHeld(): boolean {
    return this.#reasons.size > 0
  }

  isHeldFor(reason: NotNow): boolean {
    return this.#reasons.has(reason)
  }

  /** A job that was asked for before may still come. */
  async hold(reason: NotNow): Promise<void> {
    this.#reasons.add(reason)
    // Without waiting for what runs: it may take hours.
    if (!this.#worker.isPaused()) await this.#worker.pause(true)
  }

  release(reason: NotNow): void {
    this.#reasons.delete(reason)
    // Jobs are taken at once; what it resolves after may be as far away as the next look for stalled ones.
    if (!this.isHeld && this.#worker.isPaused()) void this.#worker.resume()
  }
}
