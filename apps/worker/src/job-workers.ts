import { changedChannel, dumpQueueName, type JobChanged, pagesQueueName, queuePrefix } from '@ullage/dump-job'
import { writeRefusalOf } from '@ullage/redis-connection'
import type { Worker, WorkerOptions } from 'bullmq'
import type { Logger } from 'pino'
import { holdLock } from './hold-lock.ts'
import { PatientWorker } from './patient-worker.ts'
import { type DumpJobContext, putBack, runDumpJob, stopReasons } from './run-dump-job.ts'
import { runPagesJob } from './run-pages-job.ts'
import { TakingJobs } from './taking-jobs.ts'

/** Starts of one job, retries and stalls together, before it is given up whatever the reasons were. */
const MOST_STARTS = 10
/** How often jobs that run are told to end while the worker ends, in milliseconds: one may have been taken just now. */
const TELL_EVERY_MS = 100
/** How long Redis may take to hear what became of the last job when the worker ends, in milliseconds. */
const LAST_WORD_WITHIN_MS = 2_000

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
   * nothing is left running, 2 s later where Redis does not hear of it. Idempotent.
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
  let answering = 0
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
  const dumps = new PatientWorker(
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
  const pages = new PatientWorker(
    pagesQueueName(host),
    async (job, _token, signal) => {
      answering++
      try {
        return await runPagesJob({ config, childModule, log }, job, signal ?? new AbortController().signal)
      } finally {
        answering--
      }
    },
    { ...common, concurrency: 1 },
  )
  const both = [dumps, pages]
  for (const worker of both) {
    let said = ''
    worker.on('error', (error) => {
      // One line for a Redis that is full, not one for each command that it refuses.
      const what = writeRefusalOf(error) ?? error.message
      if (what !== said) log.warn({ reason: error.message, queue: worker.name }, 'queue')
      said = what
    })
    for (const heard of ['active', 'drained'] as const) worker.on(heard, () => (said = ''))
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
      ending ??= endInOrder({ dumps, pages, isBusy: () => running.size + answering > 0, shutdownMs, log })
      return ending
    },
  }
}

interface Ending extends Pick<JobWorkers, 'dumps' | 'pages'> {
  /** Whether an attempt or a question is under way. */
  readonly isBusy: () => boolean
  readonly shutdownMs: number
  readonly log: Logger
}

async function endInOrder({ dumps, pages, isBusy, shutdownMs, log }: Ending): Promise<void> {
  const closed = Promise.all([dumps.close(), pages.close()])
  const begun = performance.now()
  let busyAt = begun
  const unheard = Promise.withResolvers<void>()
  const tell = () => {
    const now = performance.now()
    pages.cancelAllJobs(stopReasons.shutdown)
    if (now - begun >= shutdownMs) dumps.cancelAllJobs(stopReasons.shutdown)
    if (isBusy()) busyAt = now
    else if (now - busyAt >= LAST_WORD_WITHIN_MS) unheard.resolve()
  }
  tell()
  const timer = setInterval(tell, TELL_EVERY_MS)
  try {
    // BullMQ's own end waits for a Redis that is away.
    const isHeard = await Promise.race([closed.then(() => true), unheard.promise.then(() => false)])
    if (!isHeard)
      log.warn('redis does not hear of the end: jobs that it still has as running are taken up by the next start')
  } finally {
    clearInterval(timer)
  }
}
