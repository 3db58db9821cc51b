import { changedChannel, dumpQueueName, type JobChanged, pagesQueueName, queuePrefix } from '@ullage/dump-job'
import { Worker, type WorkerOptions } from 'bullmq'
import { holdLock } from './hold-lock.ts'
import { type DumpJobContext, putBack, runDumpJob, stopReasons } from './run-dump-job.ts'
import { runPagesJob } from './run-pages-job.ts'
import { TakingJobs } from './taking-jobs.ts'

/** Starts of one job, retries and stalls together, before it is given up whatever the reasons were. */
const MOST_STARTS = 10

export interface JobWorkers {
  /** Of BullMQ, one for each queue of this host. */
  readonly dumps: Worker
  readonly pages: Worker
  /** Whether dumps are begun. */
  readonly taking: TakingJobs
  /** Dumps that are made now. */
  readonly running: ReadonlySet<string>
  /** Whether jobs are taken and nobody asked for an end, and yet a queue is no longer read. */
  readonly hasStopped: boolean
  /** Tells a dump that is made here to end. False when it is not, or was told before. */
  cancel(dump: string): boolean
  /** Begins to take jobs. `onEnded` is told when a queue can no longer be read. */
  run(onEnded: (reason: string) => void): void
  /**
   * Takes no more jobs, lets running ones go on for the configured time, then has them put back into the queue. Resolves when
   * nothing is left running. Idempotent.
   */
  close(): Promise<void>
}

/** Makes what takes the jobs of this host off their queues; nothing is taken before `run`. */
export function makeJobWorkers(options: Omit<DumpJobContext, 'announce'>): JobWorkers {
  const { config, redis, log, childModule } = options
  const { host, lockMs, shutdownMs } = config
  const announce = (job: string) => {
    if (redis.status !== 'ready') return
    const changed: JobChanged = { job }
    redis.publish(changedChannel, JSON.stringify(changed)).catch((error: unknown) => {
      log.debug({ reason: String(error) }, 'a change could not be announced')
    })
  }
  const running = new Set<string>()
  /** Of those that run, which were told to end. */
  const cancelled = new Set<string>()
  const common: WorkerOptions = {
    connection: redis,
    prefix: queuePrefix,
    lockDuration: lockMs,
    stalledInterval: lockMs,
    maxStalledCount: 1,
    maxStartedAttempts: MOST_STARTS,
    autorun: false,
    name: host,
  }
  const endLost = (worker: Worker, job: string) => {
    if (worker.cancelJob(job, stopReasons.lockLost)) log.error({ job }, 'the lock is lost: the attempt is ended')
  }
  const context = { ...options, announce }
  const dumps = new Worker(
    dumpQueueName(host),
    async (job, token, signal) => {
      if (!job.id || !token || !signal) throw new Error('BullMQ gave a job without id, token or signal')
      const { id } = job
      // It was asked for before it was known that none is to be begun.
      if (taking.isHeldFor('drained')) return putBack(job, token)
      running.add(id)
      announce(id)
      const held = holdLock(job, { token, lockMs, lost: () => endLost(dumps, id), log })
      try {
        return await runDumpJob(context, job, token, signal)
      } finally {
        held[Symbol.dispose]()
        running.delete(id)
        cancelled.delete(id)
      }
    },
    { ...common, concurrency: config.concurrency },
  )
  const taking = new TakingJobs(dumps)
  const pages = new Worker(
    pagesQueueName(host),
    (job, _token, signal) => runPagesJob({ config, childModule, log }, job, signal ?? new AbortController().signal),
    { ...common, concurrency: 1 },
  )
  const both = [dumps, pages]
  for (const worker of both) {
    worker.on('error', (error) => log.warn({ reason: error.message, queue: worker.name }, 'queue'))
    worker.on('completed', (job) => announce(job.id ?? ''))
    worker.on('failed', (job) => announce(job?.id ?? ''))
    worker.on('stalled', (job) => {
      log.warn({ job }, 'taken back from a worker that stopped renewing its lock')
      announce(job)
    })
    worker.on('lockRenewalFailed', (jobs: string[]) => {
      for (const job of jobs) endLost(worker, job)
    })
  }
  let isConsuming = false
  let ending: Promise<void> | undefined
  return {
    dumps,
    pages,
    taking,
    running,
    get hasStopped() {
      return isConsuming && !ending && both.some((each) => !each.isRunning() && !each.isPaused())
    },
    cancel(dump) {
      if (cancelled.has(dump) || !dumps.cancelJob(dump, stopReasons.cancelled)) return false
      cancelled.add(dump)
      return true
    },
    run(onEnded) {
      for (const worker of both) {
        // It resolves whenever the worker is paused, too.
        worker.run().catch((error: unknown) => {
          if (ending) return
          onEnded(String(error))
          log.fatal({ reason: String(error), queue: worker.name }, 'the queue is no longer read')
        })
      }
      isConsuming = true
    },
    close() {
      ending ??= endInOrder(dumps, pages, shutdownMs)
      return ending
    },
  }
}

async function endInOrder(dumps: Worker, pages: Worker, shutdownMs: number): Promise<void> {
  const closed = Promise.all([dumps.close(), pages.close()])
  pages.cancelAllJobs(stopReasons.shutdown)
  const late = setTimeout(() => dumps.cancelAllJobs(stopReasons.shutdown), shutdownMs)
  await closed
  clearTimeout(late)
}
