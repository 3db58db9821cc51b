import { changedChannel, dumpQueueName, type JobChanged, pagesQueueName, queuePrefix } from '@ullage/dump-job'
import { writeRefusalOf } from '@ullage/redis-connection'
import type { Job, Worker, WorkerOptions } from 'bullmq'
import type { Logger } from 'pino'
import { Attempts } from './attempts.ts'
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
  /** Attempts at dumps that are made now. */
  readonly running: Pick<Attempts, 'count' | 'jobs'>
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
  const running = new Attempts()
  const answering = new Attempts()
  const common: WorkerOptions = {
    connection: redis,
    prefix: queuePrefix,
    lockDuration: lockMs,
    stalledInterval: lockMs,
    maxStalledCount: 1,
    maxStartedAttempts: MOST_STARTS,
    // holdLock does, for each attempt.
    skipLockRenewal: true,
    autorun: false,
    name: host,
  }
  /** Runs `work` as an attempt at the job, whose lock is held meanwhile. */
  const attempt = async <Result>(
    attempts: Attempts,
    job: Job,
    token: string | undefined,
    work: (token: string, signal: AbortSignal) => Promise<Result>,
  ) => {
    const { id } = job
    if (!id || !token) throw new Error('BullMQ gave a job without id or token')
    return attempts.run(id, async (told) => {
      const lost = () => {
        if (told.signal.aborted) return
        log.error({ job: id }, 'the lock is lost: the attempt is ended')
        told.abort(stopReasons.lockLost)
      }
      const held = holdLock(job, { token, lockMs, lost, log })
      try {
        return await work(token, told.signal)
      } finally {
        held[Symbol.dispose]()
      }
    })
  }
  const context = { ...options, announce }
  const dumps = new PatientWorker(
    dumpQueueName(host),
    async (job, token) => {
      // It was asked for before it was known that none is to be begun.
      if (token && taking.isHeldFor('drained')) return putBack(job, token)
      return attempt(running, job, token, async (held, signal) => {
        announce(job.id ?? '')
        return runDumpJob(context, job, held, signal)
      })
    },
    { ...common, concurrency: config.concurrency },
  )
  const taking = new TakingJobs(dumps)
  const pages = new PatientWorker(
    pagesQueueName(host),
    async (job, token) =>
      attempt(answering, job, token, async (_held, signal) => runPagesJob({ config, childModule, log }, job, signal)),
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
    cancel: (dump) => running.end(dump, stopReasons.cancelled),
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
      ending ??= endInOrder({ dumps, pages, running, answering, shutdownMs, log })
      return ending
    },
  }
}

interface Ending extends Pick<JobWorkers, 'dumps' | 'pages'> {
  readonly running: Attempts
  readonly answering: Attempts
  readonly shutdownMs: number
  readonly log: Logger
}

async function endInOrder({ dumps, pages, running, answering, shutdownMs, log }: Ending): Promise<void> {
  const closed = Promise.all([dumps.close(), pages.close()])
  const begun = performance.now()
  let busyAt = begun
  const unheard = Promise.withResolvers<void>()
  const tell = () => {
    const now = performance.now()
    answering.endAll(stopReasons.shutdown)
    if (now - begun >= shutdownMs) running.endAll(stopReasons.shutdown)
    if (running.count + answering.count > 0) busyAt = now
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
