import { randomUUID } from 'node:crypto'
import { type ArtifactStore, openStore, StoreError } from '@ullage/artifact-store'
import { dumpQueueName, queuePrefix } from '@ullage/dump-job'
import { connectRedis, type RedisConnection, RedisRefused } from '@ullage/redis-connection'
import { openTraces } from '@ullage/traces'
import { Queue } from 'bullmq'
import type { Logger } from 'pino'
import { announceHost } from './announce-host.ts'
import { FolderWaits } from './folder-waits.ts'
import { type DescribedGuest, GuestFolder } from './guest-folder.ts'
import { heedRefusedWrites } from './heed-refused-writes.ts'
import { hearCancelOrders } from './hear-cancel-orders.ts'
import { honourDrain } from './honour-drain.ts'
import { makeJobWorkers } from './job-workers.ts'
import type { ConsumptionVerdict } from './judge-consumption.ts'
import { onceWritesAreTaken } from './once-writes-are-taken.ts'
import { pruneFencesDaily } from './prune-fences-daily.ts'
import { readWorkerIds, reclaimJobs, writeWorkerIds } from './reclaim-jobs.ts'
import { refuseEvictingRedis } from './refuse-evicting-redis.ts'
import { refuseSecondWorker } from './refuse-second-worker.ts'
import { serveWatch } from './serve-watch.ts'
import { warnOfSmallDisks } from './small-disks.ts'
import { SpaceLedger } from './space-ledger.ts'
import { takeHost, type TakeHostOptions, takeState } from './take-host.ts'
import { watchConsumption } from './watch-consumption.ts'
import { watchEviction } from './watch-eviction.ts'
import { WorkerConfigError } from './worker-config.ts'
import { WorkerMetrics } from './worker-metrics.ts'

export interface StartWorkerOptions extends TakeHostOptions {
  /** Module that a dump's process runs. */
  readonly childModule: URL
  /** Reads a descriptor, for what is announced of the guest. */
  readonly describe: (path: string) => Promise<DescribedGuest>
  /** Told just before jobs are taken. */
  readonly onConsuming?: () => void
}

export interface RunningWorker {
  /**
   * Takes no more jobs, lets running ones go on for the configured time, then puts them back into the queue. Resolves
   * when nothing is left running, also while Redis is away: what could not be put back is taken up by the next start.
   * Idempotent.
   */
  close(): Promise<void>
}

/**
 * Starts the worker of one host. Waits for folders that hang, and for Redis, also for one that takes no writes, as long as it
 * takes. Throws WorkerConfigError when another worker runs with the same state folder, or when Redis may drop jobs.
 */
export async function startWorker(options: StartWorkerOptions): Promise<RunningWorker> {
  const { config, log, childModule } = options
  const { host, stateDir } = config
  const { place } = config.store
  await using stack = new AsyncDisposableStack()
  const waits = new FolderWaits(log)
  stack.use(await takeState(options, waits))

  const endpoint = config.tracesEndpoint
  const traces =
    endpoint === undefined ? undefined : stack.use(await openTraces({ endpoint, service: 'ullage-worker', log }))
  // Served while folders and Redis are waited for, too: a probe that gets no answer would have the worker started anew.
  const metrics = stack.use(new WorkerMetrics())
  let verdict = (): ConsumptionVerdict => starting(waits.reason)
  if (config.listen) {
    const { registry } = metrics
    const served = stack.use(await serveWatch({ listen: config.listen, registry, verdict: () => verdict() }))
    log.info({ url: served.url }, 'metrics and health are served')
  }
  stack.use(await takeHost(options, waits))
  stack.use(pruneFencesDaily({ folder: config.locksDir, log }))
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

  const space = new SpaceLedger({ keepFreeBytes: config.keepFreeBytes })
  const jobs = makeJobWorkers({ config, redis, artifacts, childModule, log, metrics, space, traces })
  const { dumps, pages, taking, running } = jobs
  // Whatever fails from here on ends what runs before Redis is left.
  stack.defer(() => jobs.close())
  stack.use(
    await hearCancelOrders({
      redis,
      host,
      running: () => running.jobs,
      cancel: (dump) => {
        if (jobs.cancel(dump)) log.info({ job: dump }, 'cancelled on request')
      },
      log,
    }),
  )
  const earlier = await readWorkerIds(stateDir)
  for (const { name } of [dumps, pages]) {
    const reclaimed = await onceWritesAreTaken(() => reclaimJobs(redis, name, earlier), {
      onRefused: (code) => {
        log.error({ code }, 'redis takes no writes: no job is taken before it does')
        verdict = () => starting(`redis takes no writes (${code})`)
      },
    })
    if (reclaimed.length > 0)
      log.warn({ jobs: reclaimed, queue: name }, 'taken back from a worker of this host that died')
  }
  await writeWorkerIds(stateDir, [dumps.id, pages.id])
  const drain = await honourDrain({ redis, host, taking, log })
  const queue = new Queue(dumpQueueName(host), { connection: redis, prefix: queuePrefix })
  queue.on('error', (error) => log.debug({ reason: error.message }, 'queue'))
  const watch = stack.use(
    watchConsumption({
      // What waits on a drained host waits by order, and a full Redis is no fault of this worker.
      waiting: async () => {
        const waiting = await queue.getJobCountByTypes('waiting', 'prioritized')
        return taking.isHeld ? 0 : waiting
      },
      running: () => running.count,
      concurrency: config.concurrency,
      paused: () => dumps.isPaused() && !taking.isHeld,
      stopped: () => jobs.hasStopped,
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
    running: () => running.count,
    waitingForSpace: () => space.waiting,
    mayEvict: () => eviction.policy !== undefined,
  })
  options.onConsuming?.()
  jobs.run((reason) => watch.ended(reason))
  // While it ends, orders to cancel are heard, and health is told.
  stack.defer(() => jobs.close())
  stack.use(drain)
  stack.use(heedRefusedWrites({ redis, host, taking, log }))
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
      // Who waits for Redis to say farewell keeps no dump from hearing that it is to end.
      jobs.close().catch(() => undefined)
      closing ??= rest.disposeAsync()
      return closing
    },
  }
}

/** What is told of a worker that has not begun to take jobs. A new start would not help. */
function starting(why = 'it waits for redis, or prepares what it has there'): ConsumptionVerdict {
  return { alive: true, ready: false, reason: `it takes no jobs yet: ${why}` }
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
