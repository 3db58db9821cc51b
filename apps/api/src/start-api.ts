import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { changedChannel, jobChanged, makeFolder } from '@ullage/dump-job'
import type { FastifyBaseLogger } from 'fastify'
import { type ApiConfig, ApiConfigError, type ListenAddress } from './api-config.ts'
import { buildApi } from './build-api.ts'
import { BullQueue } from './bull-queue.ts'
import { connectRedis, connectSubscriber, type RedisClient } from './connect-redis.ts'
import { RedisFleet } from './fleet.ts'
import { FollowJobs } from './follow-jobs.ts'
import { Journal } from './journal.ts'
import { PublishedDumps } from './published-dumps.ts'
import { watchHosts } from './watch-hosts.ts'

/** Every active dump is looked at this often, should a hint have been lost, in milliseconds. */
const SWEEP_EVERY_MS = 5_000

export interface RunningApi {
  /** Address to reach it at, such as `http://127.0.0.1:7070` or `unix:/run/ullage/api.sock`. */
  readonly url: string
  /** Answers what was asked, ends event streams, closes everything. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts the API. It answers also while Redis is away, and catches up when it is back. Throws ApiConfigError when another
 * API has the journal, or when the address cannot be listened at.
 */
export async function startApi(config: ApiConfig, log: FastifyBaseLogger): Promise<RunningApi> {
  await using stack = new AsyncDisposableStack()
  await makeArtifactsFolder(config.artifactsDir)
  const journal = stack.use(openJournal(config.stateDir))
  const redis = stack.adopt(connectRedis(config.redis, log), (redis) => redis.disconnect())
  const queue = stack.use(new BullQueue(redis, (error) => log.debug({ reason: error.message }, 'queue')))
  const published = new PublishedDumps(config.artifactsDir)
  const follow = new FollowJobs({ journal, queue, published, log })
  const fleet = new RedisFleet(redis)
  const app = await buildApi({ journal, queue, fleet, follow, published }, log)

  stack.use(hearHints(redis, follow, log))
  stack.use(sweepRegularly(redis, follow))
  stack.use(watchHosts(journal, fleet, log))
  stack.defer(() => app.close())
  const url = await listen(app, config.listen)
  log.info({ url }, 'api ready')

  const rest = stack.move()
  let closing: Promise<void> | undefined
  return {
    url,
    close() {
      closing ??= rest.disposeAsync()
      return closing
    },
  }
}

async function makeArtifactsFolder(folder: string): Promise<void> {
  try {
    makeFolder(folder)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ApiConfigError(`ULLAGE_ARTIFACTS_DIR: expected a folder that can be used: ${reason}`, { cause: error })
  }
}

function openJournal(stateDir: string): Journal {
  try {
    return new Journal(join(stateDir, 'journal.sqlite'))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ApiConfigError(
      /locked/.test(reason)
        ? `expected to be the only API with the state folder ${stateDir}, another one runs: stop it, or give each its own`
        : `the journal in ${stateDir} cannot be opened: ${reason}`,
      { cause: error },
    )
  }
}

/** Looks at a dump when a worker says that it changed. */
function hearHints(redis: RedisClient, follow: FollowJobs, log: FastifyBaseLogger): Disposable {
  // All that is heard on it is a hint.
  const subscriber = connectSubscriber(redis)
  subscriber.on('error', (error) => log.debug({ reason: error.message }, 'hints'))
  subscriber.on('message', (_channel, text) => {
    const job = readHint(text)
    if (job) void follow.look(job)
  })
  subscriber.subscribe(changedChannel).catch((error: unknown) => log.debug({ reason: String(error) }, 'hints'))
  return { [Symbol.dispose]: () => subscriber.disconnect() }
}

function readHint(text: string): string | undefined {
  try {
    return jobChanged.safeParse(JSON.parse(text)).data?.job
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Looks at all active dumps: now, whenever Redis is back, and every few seconds. */
function sweepRegularly(redis: RedisClient, follow: FollowJobs): Disposable {
  let sweeping = false
  const sweep = () => {
    if (sweeping || redis.status !== 'ready') return
    sweeping = true
    void follow.sweep().finally(() => {
      sweeping = false
    })
  }
  redis.on('ready', sweep)
  const timer = setInterval(sweep, SWEEP_EVERY_MS)
  return {
    [Symbol.dispose]() {
      clearInterval(timer)
      redis.off('ready', sweep)
    },
  }
}

async function listen(app: Awaited<ReturnType<typeof buildApi>>, address: ListenAddress): Promise<string> {
  try {
    if ('path' in address) {
      // Left by an API that was killed; one that lives holds the journal, so this one never got here.
      await rm(address.path, { force: true })
      await app.listen({ path: address.path })
      return `unix:${address.path}`
    }
    return await app.listen(address)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ApiConfigError(`ULLAGE_API_LISTEN: cannot listen there: ${reason}`, { cause: error })
  }
}
