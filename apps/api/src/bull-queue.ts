import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  cancelKey,
  type CancelOrder,
  controlChannel,
  type DumpJob,
  dumpProgress,
  dumpQueueName,
  dumpResult,
  failureOfReason,
  keepFinishedSeconds,
  type PagesJob,
  pagesQueueName,
  queuePrefix,
  retries,
  toFailure,
} from '@ullage/dump-job'
import { type Job, Queue } from 'bullmq'
import type { RedisClient } from '@ullage/redis-connection'
import type { DumpTraceparents } from './dump-traceparents.ts'
import type { JobQueue, ObservedJob } from './job-queue.ts'
import type { DumpRecord } from './dump-record.ts'
import { ApiProblem } from './problem.ts'
import { takeTurn } from './take-turn.ts'
import { within } from './within.ts'

const ANSWER_WITHIN_MS = 5_000
/** How long a client waits for the word of a worker about pages. */
const PAGES_WITHIN_MS = 60_000
const PAGES_LOOK_EVERY_MS = 100
/** An answer about pages is read at once or never. */
const PAGES_KEPT_SECONDS = 300
/** How long an order to cancel waits for a worker that is away, in seconds. */
const CANCEL_KEPT_SECONDS = 30 * 24 * 3600

/** The queues of all hosts, on one connection. */
export class BullQueue implements JobQueue, AsyncDisposable {
  readonly #redis: RedisClient
  readonly #queues = new Map<string, Queue>()
  readonly #onError: (error: Error) => void
  readonly #traceparents: DumpTraceparents | undefined

  /** With `traceparents`, a job says which request asked for it. */
  constructor(redis: RedisClient, onError: (error: Error) => void, traceparents?: DumpTraceparents) {
    this.#redis = redis
    this.#onError = onError
    this.#traceparents = traceparents
  }

  async add(dump: DumpRecord): Promise<void> {
    const { id, guest, host, options, tenant } = dump
    const traceparent = this.#traceparents?.of(id)
    const job: DumpJob = {
      schema: 'ullage.job/1',
      dump: id,
      guest,
      tenant,
      options,
      ...(traceparent !== undefined && { traceparent }),
    }
    await this.#ask(dumpQueueName(host), async (queue) =>
      queue.add('dump', job, {
        jobId: id,
        priority: await takeTurn(this.#redis, { host, tenant, priority: options.priority }),
        attempts: retries.attempts,
        backoff: { type: 'exponential', delay: retries.backoffMs },
        removeOnComplete: { age: keepFinishedSeconds },
        removeOnFail: { age: keepFinishedSeconds },
      }),
    )
    this.#traceparents?.drop(id)
  }

  async observe(dump: DumpRecord): Promise<ObservedJob | undefined> {
    return this.#ask(dumpQueueName(dump.host), async (queue) => {
      // State first: what is read after it belongs to this state or to a later one, never to an earlier one.
      const state = await queue.getJobState(dump.id)
      const job = state === 'unknown' ? undefined : await queue.getJob(dump.id)
      return job && observed(state, job)
    })
  }

  async cancel(dump: DumpRecord): Promise<boolean> {
    await this.#ask(dumpQueueName(dump.host), () => this.#redis.set(cancelKey(dump.id), '1', 'EX', CANCEL_KEPT_SECONDS))
    const over = await this.#ask(dumpQueueName(dump.host), async (queue) => {
      const state = await queue.getJobState(dump.id)
      if (state === 'completed' || state === 'failed') return false
      // Removes what waits, and what a worker had that died; a job that a living worker holds is locked, and stays.
      return state === 'unknown' || (await queue.remove(dump.id)) === 1
    })
    if (over) return true
    const order: CancelOrder = { cancel: dump.id }
    await this.#ask(dumpQueueName(dump.host), () =>
      this.#redis.publish(controlChannel(dump.host), JSON.stringify(order)),
    )
    return false
  }

  async forget(dump: DumpRecord): Promise<void> {
    await this.#ask(dumpQueueName(dump.host), (queue) => queue.remove(dump.id))
    await this.#ask(dumpQueueName(dump.host), () => this.#redis.del(cancelKey(dump.id)))
  }

  async pages(host: string, guest: string, tenant: string | null): Promise<unknown> {
    const job: PagesJob = { schema: 'ullage.pages-job/1', guest, tenant }
    const jobId = randomUUID()
    const name = pagesQueueName(host)
    await this.#ask(name, (queue) =>
      queue.add('pages', job, {
        jobId,
        removeOnComplete: { age: PAGES_KEPT_SECONDS },
        removeOnFail: { age: PAGES_KEPT_SECONDS },
      }),
    )
    const deadline = performance.now() + PAGES_WITHIN_MS
    while (performance.now() < deadline) {
      const state = await this.#ask(name, (queue) => queue.getJobState(jobId))
      const found =
        state === 'completed' || state === 'failed' ? await this.#ask(name, (q) => q.getJob(jobId)) : undefined
      if (found && state === 'completed') return found.returnvalue
      if (found) {
        const failure = failureOfReason(found.failedReason)
        throw new ApiProblem('PAGES_FAILED', failure.message, { members: { failure } })
      }
      await delay(PAGES_LOOK_EVERY_MS)
    }
    await this.#ask(name, (queue) => queue.remove(jobId))
    throw new ApiProblem('PAGES_TIMEOUT', `host ${host} gave no answer in ${PAGES_WITHIN_MS / 1000} s`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const queues = [...this.#queues.values()]
    this.#queues.clear()
    await Promise.allSettled(queues.map((queue) => within(queue.close(), ANSWER_WITHIN_MS, unreachable)))
  }

  async #ask<T>(name: string, question: (queue: Queue) => Promise<T>): Promise<T> {
    if (this.#redis.status !== 'ready') throw unreachable()
    const queue = this.#queue(name)
    try {
      return await within(question(queue), ANSWER_WITHIN_MS, unreachable)
    } catch (error) {
      // One that could not begin stays that way; the next question gets a new one.
      this.#queues.delete(name)
      queue.close().catch(this.#onError)
      throw error instanceof ApiProblem ? error : unreachable(error)
    }
  }

  #queue(name: string): Queue {
    const known = this.#queues.get(name)
    if (known) return known
    const queue = new Queue(name, { connection: this.#redis, prefix: queuePrefix })
    queue.on('error', this.#onError)
    this.#queues.set(name, queue)
    return queue
  }
}

function unreachable(cause?: unknown): ApiProblem {
  return new ApiProblem('QUEUE_UNREACHABLE', 'redis did not answer in time', { cause })
}

function observed(state: string, job: Job): ObservedJob | undefined {
  const common = {
    attempts: job.attemptsStarted,
    startedMs: job.processedOn ?? null,
    finishedMs: null,
    progress: dumpProgress.safeParse(job.progress).data ?? null,
    failure: job.failedReason ? failureOfReason(job.failedReason) : null,
    result: null,
  }
  if (state === 'completed') {
    const finishedMs = job.finishedOn ?? null
    const { data, error } = dumpResult.safeParse(job.returnvalue)
    return data
      ? { ...common, state: 'succeeded', finishedMs, failure: null, result: data }
      : { ...common, state: 'failed', finishedMs, failure: toFailure('INTERNAL', `odd result: ${error.message}`) }
  }
  if (state === 'failed') {
    const failure = failureOfReason(job.failedReason)
    const cancelled = failure.code === 'CANCELLED'
    return { ...common, state: cancelled ? 'cancelled' : 'failed', finishedMs: job.finishedOn ?? null, failure }
  }
  return { ...common, state: state === 'active' ? 'running' : 'queued' }
}
