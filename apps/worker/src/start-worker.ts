import { randomUUID } from 'node:crypto'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { type ArtifactStore, openStore, StoreError } from '@ullage/artifact-store'
import {
  changedChannel,
  dumpQueueName,
  type JobChanged,
  keepFinishedSeconds,
  makeFolder,
  pagesQueueName,
  queuePrefix,
} from '@ullage/dump-job'
import { connectRedis, type RedisConnection, RedisRefused } from '@ullage/redis-connection'
import { openTraces } from '@ullage/traces'
import { Queue, Worker } from 'bullmq'
import type { Logger } from 'pino'
import { announceHost } from './announce-host.ts'
import { pruneFences } from './attempt-fence.ts'
import { type DescribedGuest, GuestFolder } from './guest-folder.ts'
import { hearCancelOrders } from './hear-cancel-orders.ts'
import { holdLock } from './hold-lock.ts'
import { honourDrain } from './honour-drain.ts'
import { takeHostLock } from './host-lock.ts'
import type { ConsumptionVerdict } from './judge-consumption.ts'
import { readWorkerIds, reclaimJobs, writeWorkerIds } from './reclaim-jobs.ts'
import { refuseEvictingRedis } from './refuse-evicting-redis.ts'
import { refuseSecondWorker } from './refuse-second-worker.ts'
import { runDumpJob, stopReasons } from './run-dump-job.ts'
import { runPagesJob } from './run-pages-job.ts'
import { warnOfSmallDisks } from './small-disks.ts'
import { SpaceLedger } from './space-ledger.ts'
import { serveWatch } from './serve-watch.ts'
import { watchConsumption } from './watch-consumption.ts'
import { watchEviction } from './watch-eviction.ts'
import { type WorkerConfig, WorkerConfigError } from './worker-config.ts'
import { WorkerMetrics } from './worker-metrics.ts'

/** Longer than a job stays in its queue: who begins it after that begins it anew. */
const FENCES_KEPT_MS = 2 * keepFinishedSeconds * 1000

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
  /** Told just before jobs are taken. */
  readonly onConsuming?: () => void
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
  await using stack = new AsyncDisposableStack()
  const lock = await takeHostLock(join(stateDir, 'worker.lock'))
  if (!lock) {
    throw new WorkerConfigError(
      `expected to be the only worker with the state folder ${stateDir}, another one runs: stop it, or give each its own`,
    )
  }
  stack.use(lock)
  // Guests first: one that was left paused waits neither for Redis nor for a folder that is not mounted.
  for (const { guest, outcome, error } of await options.resumeAbandoned(stateDir)) {
    const what = 'an earlier run left this guest paused'
    if (error === undefined) log.warn({ guest, outcome }, what)
    else log.error({ guest, outcome, err: error }, what)
  }

  const { place } = config.store
  if (place.kind === 'folder') await makeFolderOf('ULLAGE_ARTIFACTS_DIR', place.folder)
  await makeFolderOf('ULLAGE_GUESTS_DIR', config.guestsDir, 'read')
  const hostLock = await takeHostLock(join(config.locksDir, `${host}.worker`))
  if (!hostLock) {
    throw new WorkerConfigError(
      `expected to be the only worker of host ${host} with the locks in ${config.locksDir}, another one runs, ` +
        'with another state folder: stop it, or give each its own ULLAGE_HOST_ID',
    )
  }
  stack.use(hostLock)
  await pruneFences(config.locksDir, FENCES_KEPT_MS)

  const endpoint = config.tracesEndpoint
  const traces =
    endpoint === undefined ? undefined : stack.use(await openTraces({ endpoint, service: 'ullage-worker', log }))
  // Served while Redis is waited for, too: a probe that gets no answer would have the worker started anew.
  const metrics = stack.use(new WorkerMetrics())
  let verdict = starting
  if (config.listen) {
    const { registry } = metrics
    const served = stack.use(await serveWatch({ listen: config.listen, registry, verdict: () => verdict() }))
    log.info({ url: served.url }, 'metrics and health are served')
  }
  const connection = stack.use(connectRedis(config.redis, { whileAway: 'wait', log }))
  await untilLetIn(connection)
  const { redis } = connection
  await refuseEvictingRedis(redis)
  const instance = randomUUID()
  // Beside a folder that is shared there is a lock; what is prepared below is of the only worker of its host.
  if (place.kind === 's3') await refuseSecondWorker({ redis, host, stateDir, instance })
  const artifacts = stack.use(await openStore(config.store, { host, spoolDir: config.spoolDir }))
  await prepareStore(artifacts, log)
  await warnOfSmallDisks(config, log)

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
  const endLost = (job: string) => {
    if (dumps.cancelJob(job, stopReasons.lockLost)) log.error({ job }, 'the lock is lost: the attempt is ended')
  }
  const space = new SpaceLedger({ keepFreeBytes: config.keepFreeBytes })
  const context = { config, redis, artifacts, childModule, log, announce, metrics, space, traces }
  const dumps = new Worker(
    dumpQueueName(host),
    async (job, token, signal) => {
      if (!job.id || !token || !signal) throw new Error('BullMQ gave a job without id, token or signal')
      const { id } = job
      running.add(id)
      announce(id)
      const held = holdLock(job, { token, lockMs, lost: () => endLost(id), log })
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
  const pages = new Worker(
    pagesQueueName(host),
    (job, _token, signal) => runPagesJob({ config, childModule, log }, job, signal ?? new AbortController().signal),
    { ...common, concurrency: 1 },
  )
  let ending: Promise<void> | undefined
  const close = () => {
    ending ??= endInOrder({ dumps, pages, shutdownMs: config.shutdownMs })
    return ending
  }
  // Whatever fails from here on ends what runs before Redis is left.
  stack.defer(close)
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
        if (cancelled.has(dump) || !dumps.cancelJob(dump, stopReasons.cancelled)) return
        cancelled.add(dump)
        log.info({ job: dump }, 'cancelled on request')
      },
      log,
    }),
  )
  const earlier = await readWorkerIds(stateDir)
  for (const { name } of [dumps, pages]) {
    const jobs = await reclaimJobs(redis, name, earlier)
    if (jobs.length > 0) log.warn({ jobs, queue: name }, 'taken back from a worker of this host that died')
  }
  await writeWorkerIds(stateDir, [dumps.id, pages.id])
  let isConsuming = false
  const drain = await honourDrain({ redis, host, worker: dumps, log })
  const queue = new Queue(dumpQueueName(host), { connection: redis, prefix: queuePrefix })
  queue.on('error', (error) => log.debug({ reason: error.message }, 'queue'))
  const watch = stack.use(
    watchConsumption({
      // What waits on a drained host waits by order.
      waiting: async () => {
        const waiting = await queue.getJobCountByTypes('waiting', 'prioritized')
        return drain.isDrained ? 0 : waiting
      },
      running: () => running.size,
      concurrency: config.concurrency,
      paused: () => dumps.isPaused() && !drain.isDrained,
      stopped: () => isConsuming && !ending && [dumps, pages].some((each) => !each.isRunning() && !each.isPaused()),
    }),
  )
  const eviction = stack.use(watchEviction(redis, log))
  verdict = () => {
    const found = watch.verdict()
    if (!found.ready || eviction.policy === undefined) return found
    const reason = `redis may drop jobs and locks: expected maxmemory-policy noeviction, found ${eviction.policy}`
    return { ...found, ready: false, reason }
  }
  metrics.watch(watch, {
    running: () => running.size,
    waitingForSpace: () => space.waiting,
    mayEvict: () => eviction.policy !== undefined,
  })
  options.onConsuming?.()
  for (const worker of [dumps, pages]) {
    // It resolves whenever the worker is paused, too.
    worker.run().catch((error: unknown) => {
      if (ending) return
      watch.ended(String(error))
      log.fatal({ reason: String(error), queue: worker.name }, 'the queue is no longer read')
    })
  }
  isConsuming = true
  // While it ends, orders to cancel are heard, and health is told.
  stack.defer(close)
  stack.use(drain)
  stack.use(
    await announceHost({
      redis,
      host,
      instance,
      concurrency: config.concurrency,
      rememberedMs: config.rememberedMs,
      folder: new GuestFolder(config.guestsDir, options.describe),
      // A drained host has a worker all the same.
      consuming: () => dumps.isPaused() || dumps.isRunning(),
      onGuests: (guests) => metrics.keepGuests(guests),
      onBeat: watch.beaten,
      onNoBeat: watch.notBeaten,
      log,
    }),
  )
  log.info({ guestsDir: config.guestsDir, artifacts: place.kind }, 'worker ready')

  const rest = stack.move()
  let closing: Promise<void> | undefined
  return {
    close() {
      closing ??= rest.disposeAsync()
      return closing
    },
  }
}

/** What is told of a worker that has not begun to take jobs. A new start would not help. */
function starting(): ConsumptionVerdict {
  return {
    alive: true,
    ready: false,
    reason: 'it takes no jobs yet: it waits for redis, or prepares what it has there',
  }
}

/** Waits until Redis answers. Throws WorkerConfigError when it does not let this process in. */
async function untilLetIn(connection: RedisConnection): Promise<void> {
  try {
    await connection.ready()
  } catch (error) {
    if (!(error instanceof RedisRefused)) throw error
    throw new WorkerConfigError(`ULLAGE_REDIS_URL: ${error.message}`, { cause: error })
  }
}

/** Takes no more jobs, lets those that run go on for a while, then has them put back. */
async function endInOrder({
  dumps,
  pages,
  shutdownMs,
}: {
  dumps: Worker
  pages: Worker
  shutdownMs: number
}): Promise<void> {
  const closed = Promise.all([dumps.close(), pages.close()])
  pages.cancelAllJobs(stopReasons.shutdown)
  const late = setTimeout(() => dumps.cancelAllJobs(stopReasons.shutdown), shutdownMs)
  await closed
  clearTimeout(late)
}

/** A store that does not answer now does not keep the worker from starting: what is left there waits for the next start. */
async function prepareStore(artifacts: ArtifactStore, log: Logger): Promise<void> {
  try {
    await artifacts.prepare()
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    if (error.code !== 'STORE_UNAVAILABLE')
      throw new WorkerConfigError(`ULLAGE_ARTIFACTS: ${error.message}`, { cause: error })
    log.warn({ reason: error.message }, 'what earlier attempts left in the store is still there')
  }
}

/** Throws WorkerConfigError unless there is such a folder, or can be, that can be used for what it is for. */
async function makeFolderOf(setting: string, folder: string, use: 'read' | 'write' = 'write'): Promise<void> {
  try {
    makeFolder(folder)
    await access(folder, constants.R_OK | constants.X_OK | (use === 'write' ? constants.W_OK : 0))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new WorkerConfigError(`${setting}: expected a folder that can be used: ${reason}`, { cause: error })
  }
}
