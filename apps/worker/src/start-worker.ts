import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import {
  changedChannel,
  dumpQueueName,
  type JobChanged,
  makeFolder,
  pagesQueueName,
  queuePrefix,
} from '@ullage/dump-job'
import { Queue, Worker } from 'bullmq'
import type { Logger } from 'pino'
import { announceHost } from './announce-host.ts'
import { ArtifactFolder } from './artifact-folder.ts'
import { connectRedis } from './connect-redis.ts'
import { type DescribedGuest, GuestFolder } from './guest-folder.ts'
import { hearCancelOrders } from './hear-cancel-orders.ts'
import { takeHostLock } from './host-lock.ts'
import { refuseEvictingRedis } from './refuse-evicting-redis.ts'
import { runDumpJob, stopReasons } from './run-dump-job.ts'
import { runPagesJob } from './run-pages-job.ts'
import { serveWatch } from './serve-watch.ts'
import { watchConsumption } from './watch-consumption.ts'
import { type WorkerConfig, WorkerConfigError } from './worker-config.ts'
import { WorkerMetrics } from './worker-metrics.ts'

/** Starts of one job, retries and stalls together, before it is given up whatever the reasons were. */
const MOST_STARTS = 10

export interface StartWorkerOptions {
  readonly config: WorkerConfig
  readonly log: Logger
  /** Module that a dump's process runs. */
  readonly childModule: URL
  /** Reads a descriptor, for what is announced of the guest. */
  readonly describe: (path: string) => Promise<DescribedGuest>
  /** Resumes the guests that an earlier run of this host's worker left paused. */
  readonly resumeAbandoned: (stateDir: string) => Promise<readonly AbandonedGuest[]>
}

/** What became of a guest that was found paused. */
export interface AbandonedGuest {
  /** As its hypervisor knows it: a socket, a domain. */
  readonly guest: string
  readonly outcome: string
  readonly error?: unknown
}

export interface RunningWorker {
  /**
   * Takes no more jobs, lets running ones go on for the configured time, then puts them back into the queue. Resolves
   * when nothing is left running. Idempotent.
   */
  close(): Promise<void>
}

/**
 * Starts the worker of one host. Waits for Redis as long as it takes. Throws WorkerConfigError when another worker runs
 * with the same state folder, or when Redis may drop jobs.
 */
export async function startWorker(options: StartWorkerOptions): Promise<RunningWorker> {
  const { config, log, childModule } = options
  const { host, lockMs, stateDir } = config
  await makeFolderOf('ULLAGE_STATE_DIR', stateDir)
  await makeFolderOf('ULLAGE_ARTIFACTS_DIR', config.artifactsDir)
  await makeFolderOf('ULLAGE_GUESTS_DIR', config.guestsDir)
  await using stack = new AsyncDisposableStack()
  const lock = await takeHostLock(join(stateDir, 'worker.lock'))
  if (!lock) {
    throw new WorkerConfigError(
      `expected to be the only worker with the state folder ${stateDir}, another one runs: stop it, or give each its own`,
    )
  }
  stack.use(lock)

  // Guests first: one that was left paused does not wait for Redis.
  for (const { guest, outcome, error } of await options.resumeAbandoned(stateDir)) {
    const what = 'an earlier run left this guest paused'
    if (error === undefined) log.warn({ guest, outcome }, what)
    else log.error({ guest, outcome, err: error }, what)
  }
  const artifacts = new ArtifactFolder(config.artifactsDir, host)
  await artifacts.prepare()

  const redis = stack.adopt(connectRedis(config.redis, log), (redis) => redis.disconnect())
  await refuseEvictingRedis(redis)

  const announce = (job: string) => {
    if (redis.status !== 'ready') return
    const changed: JobChanged = { job }
    redis.publish(changedChannel, JSON.stringify(changed)).catch((error: unknown) => {
      log.debug({ reason: String(error) }, 'a change could not be announced')
    })
  }
  const running = new Set<string>()
  const common = {
    connection: redis,
    prefix: queuePrefix,
    lockDuration: lockMs,
    stalledInterval: lockMs,
    maxStalledCount: 1,
    maxStartedAttempts: MOST_STARTS,
    autorun: false,
    name: host,
  }
  const metrics = stack.use(new WorkerMetrics())
  const context = { config, redis, artifacts, childModule, log, announce, metrics }
  const dumps = new Worker(
    dumpQueueName(host),
    async (job, token, signal) => {
      if (!job.id || !token || !signal) throw new Error('BullMQ gave a job without id, token or signal')
      running.add(job.id)
      announce(job.id)
      try {
        return await runDumpJob(context, job, token, signal)
      } finally {
        running.delete(job.id)
      }
    },
    { ...common, concurrency: config.concurrency },
  )
  const pages = new Worker(
    pagesQueueName(host),
    (job, _token, signal) => runPagesJob({ config, childModule, log }, job, signal ?? new AbortController().signal),
    { ...common, concurrency: 1 },
  )
  for (const worker of [dumps, pages]) {
    worker.on('error', (error) => log.warn({ reason: error.message, queue: worker.name }, 'queue'))
    worker.on('completed', (job) => announce(job.id ?? ''))
    worker.on('failed', (job) => announce(job?.id ?? ''))
    worker.on('stalled', (job) => {
      log.warn({ job }, 'taken back from a worker that stopped renewing its lock')
      announce(job)
    })
    worker.on('lockRenewalFailed', (jobs: string[]) => {
      for (const job of jobs) {
        log.error({ job }, 'the lock is lost: the attempt is ended')
        worker.cancelJob(job, stopReasons.lockLost)
      }
    })
  }
  stack.use(
    await hearCancelOrders({
      redis,
      host,
      running: () => running,
      cancel: (dump) => {
        if (dumps.cancelJob(dump, stopReasons.cancelled)) log.info({ job: dump }, 'cancelled on request')
      },
      log,
    }),
  )
  const queue = new Queue(dumpQueueName(host), { connection: redis, prefix: queuePrefix })
  queue.on('error', (error) => log.debug({ reason: error.message }, 'queue'))
  const watch = stack.use(
    watchConsumption({
      waiting: () => queue.getJobCountByTypes('waiting', 'prioritized'),
      running: () => running.size,
      concurrency: config.concurrency,
      paused: () => dumps.isPaused(),
    }),
  )
  metrics.watch(watch, () => running.size)
  let ending = false
  for (const worker of [dumps, pages]) {
    const noLonger = (reason: string) => {
      if (ending) return
      watch.ended(reason)
      log.fatal({ reason, queue: worker.name }, 'the queue is no longer read')
    }
    worker.run().then(
      () => noLonger('it was closed'),
      (error: unknown) => noLonger(String(error)),
    )
  }
  if (config.listen) {
    const { registry } = metrics
    const served = stack.use(await serveWatch({ listen: config.listen, registry, verdict: () => watch.verdict() }))
    log.info({ url: served.url }, 'metrics and health are served')
  }
  stack.defer(async () => {
    ending = true
    const closed = Promise.all([dumps.close(), pages.close()])
    pages.cancelAllJobs(stopReasons.shutdown)
    const late = setTimeout(() => dumps.cancelAllJobs(stopReasons.shutdown), config.shutdownMs)
    await closed
    clearTimeout(late)
  })
  stack.use(
    await announceHost({
      redis,
      host,
      concurrency: config.concurrency,
      folder: new GuestFolder(config.guestsDir, options.describe),
      consuming: () => dumps.isRunning() && !dumps.isPaused(),
      onGuests: (guests) => metrics.keepGuests(guests),
      log,
    }),
  )
  log.info({ guestsDir: config.guestsDir, artifactsDir: config.artifactsDir }, 'worker ready')

  const rest = stack.move()
  let closing: Promise<void> | undefined
  return {
    close() {
      closing ??= rest.disposeAsync()
      return closing
    },
  }
}

/** Throws WorkerConfigError unless there is such a folder, or can be, that can be written to. */
async function makeFolderOf(setting: string, folder: string): Promise<void> {
  try {
    makeFolder(folder)
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new WorkerConfigError(`${setting}: expected a folder that can be used: ${reason}`, { cause: error })
  }
}
