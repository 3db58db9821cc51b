import type { PublishedArtifacts } from '@ullage/artifact-store'
import { type DumpState, isFinished, resultOfReport, toFailure } from '@ullage/dump-job'
import { writeRefusalOf } from '@ullage/redis-connection'
import type { FastifyBaseLogger } from 'fastify'
import type { JobQueue, ObservedJob } from './job-queue.ts'
import type { DumpRecord } from './dump-record.ts'
import type { DumpChange, Journal } from './journal.ts'
import { ApiProblem } from './problem.ts'

/** Why a dump that no worker ended was cancelled; what an earlier attempt failed of is then no reason. */
const cancelledWaiting = toFailure('CANCELLED', 'cancelled while no worker had it')

export interface FollowJobsOptions {
  readonly journal: Journal
  readonly queue: JobQueue
  readonly published: PublishedArtifacts
  readonly log: FastifyBaseLogger
}

/**
 * Brings the journal in line with the queue, dump by dump. Hints (`look`) only say when to look; what is then read is the
 * queue's own word, so that a hint too few, too many or too late does no harm. `sweep` looks at every active dump.
 */
export class FollowJobs {
  readonly #options: FollowJobsOptions
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #again = new Set<string>()
  /** Hosts whose queue takes no writes. */
  readonly #refused = new Set<string>()

  constructor(options: FollowJobsOptions) {
    this.#options = options
  }

  /** Looks at one dump, now or right after the look that is under way. Never throws: the next sweep tries again. */
  look(id: string): Promise<void> {
    const underWay = this.#underWay.get(id)
    if (underWay) {
      this.#again.add(id)
      return underWay
    }
    const looking = this.#lookUntilCalm(id).finally(() => this.#underWay.delete(id))
    this.#underWay.set(id, looking)
    return looking
  }

  /** Looks at every dump that is queued or running, in order of acceptance. */
  async sweep(): Promise<void> {
    for (const { id } of this.#options.journal.active()) await this.look(id)
  }

  async #lookUntilCalm(id: string): Promise<void> {
    do {
      this.#again.delete(id)
      try {
        const dump = this.#options.journal.get(id)
        if (dump && !isFinished(dump.state)) await this.#settle(dump)
      } catch (error) {
        const level = error instanceof ApiProblem ? 'debug' : 'error'
        this.#options.log[level]({ err: error, job: id }, 'the journal could not be brought in line with the queue')
        return
      }
    } while (this.#again.has(id))
  }

  async #settle(dump: DumpRecord): Promise<void> {
    const { queue, log } = this.#options
    if (!dump.queued && !dump.cancelRequested) {
      await this.#write(dump, () => queue.add(dump))
      this.#change(dump.id, { queued: true })
      return
    }
    // Said again until it is done: an order may have been given while the queue or the worker was away.
    if (dump.cancelRequested && (await this.#write(dump, () => queue.cancel(dump)))) {
      this.#change(dump.id, { state: 'cancelled', finishedMs: Date.now(), progress: null, failure: cancelledWaiting })
      return
    }
    const job = await queue.observe(dump)
    if (job) this.#change(dump.id, changeOf(dump, job))
    else await this.#settleVanished(dump)
    const { state } = this.#options.journal.get(dump.id) ?? dump
    if (state !== dump.state) log.info({ job: dump.id, guest: dump.guest, from: dump.state, to: state }, 'dump')
  }

  /** The queue has forgotten a dump that it had: it was flushed, or restored from before. */
  async #settleVanished(dump: DumpRecord): Promise<void> {
    const report = await this.#options.published.report(dump.id)
    const finishedMs = Date.now()
    if (report) {
      this.#change(dump.id, {
        state: 'succeeded',
        finishedMs,
        progress: null,
        failure: null,
        result: resultOfReport(report),
      })
    } else if (dump.cancelRequested) {
      this.#change(dump.id, { state: 'cancelled', finishedMs, failure: cancelledWaiting })
    } else if (dump.state === 'queued') {
      // No worker had it, so nothing is lost: it is queued again.
      await this.#write(dump, () => this.#options.queue.add(dump))
    } else {
      const message = 'the queue no longer knows this dump, which a worker had begun; post it again'
      this.#change(dump.id, { state: 'lost', finishedMs, failure: toFailure('LOST', message) })
    }
  }

  /** Writes to the queue of the dump's host. That Redis refuses this is logged when it begins and when it is over, for each host. */
  async #write<T>({ host, id }: DumpRecord, write: () => Promise<T>): Promise<T> {
    const { log } = this.#options
    try {
      const outcome = await write()
      if (this.#refused.delete(host)) log.info({ on: host }, 'redis takes the queue of a host again')
      return outcome
    } catch (error) {
      const code = error instanceof ApiProblem ? writeRefusalOf(error.cause) : undefined
      if (code !== undefined && !this.#refused.has(host)) {
        this.#refused.add(host)
        log.warn({ on: host, job: id, code }, 'redis takes no writes to the queue of a host: its dumps wait')
      }
      throw error
    }
  }

  #change(id: string, change: DumpChange): void {
    this.#options.journal.change(id, change)
  }
}

/** What the journal has to change to agree with the queue. */
export function changeOf(dump: DumpRecord, job: ObservedJob): DumpChange {
  const state: DumpState = job.state
  return {
    state,
    attempts: Math.max(job.attempts, dump.attempts),
    startedMs: job.startedMs ?? dump.startedMs,
    finishedMs: isFinished(state) ? (job.finishedMs ?? Date.now()) : null,
    // Of what is done the result tells; of what failed, how far it came.
    progress: state === 'queued' || state === 'succeeded' ? null : job.progress,
    failure: state === 'succeeded' ? null : (job.failure ?? dump.failure),
    ...(job.result && { result: job.result }),
  }
}
