import { join } from 'node:path'
import { openPublished, type PublishedArtifacts, StoreError } from '@ullage/artifact-store'
import { changedChannel, jobChanged, removeStaleSocket } from '@ullage/dump-job'
import { openTraces } from '@ullage/traces'
import type { FastifyBaseLogger } from 'fastify'
import { type ApiConfig, ApiConfigError, type ListenAddress } from './api-config.ts'
import { makeGuard, makeQuotas, openAuditLog } from './auth/make-guard.ts'
import { isLoopback } from './auth/auth-config.ts'
import { buildApi } from './build-api.ts'
import { BullQueue } from './bull-queue.ts'
import { connectRedis, connectSubscriber, type RedisClient } from '@ullage/redis-connection'
import { DumpTraceparents } from './dump-traceparents.ts'
import { RedisFleet } from './fleet.ts'
import { FollowJobs } from './follow-jobs.ts'
import { Journal } from './journal.ts'
import { openQueueBoard } from './queue-board.ts'
import { retainRegularly } from './retention.ts'
import { TlsServers } from './tls-server.ts'
import { watchHosts } from './watch-hosts.ts'
import { writeProbeOf } from './write-probe.ts'

/** Every active dump is looked at this often, should a hint have been lost, in milliseconds. */
const SWEEP_EVERY_MS = 5_000
/** Milliseconds between two looks for artifacts that are too old or too many. */
const RETAIN_EVERY_MS = 10 * 60_000

/** The folder of artifacts is waited for so long at the start, in milliseconds. */
const FOLDER_WITHIN_MS = 5_000

export interface RunningApi {
  /** Address to reach it at, such as `http://127.0.0.1:7070` or `unix:/run/ullage/api.sock`. */
  readonly url: string
  /** Waits for Redis as long as it takes; until then dumps are refused. Throws RedisRefused when it does not let this process in. */
  readonly reachesRedis: Promise<void>
  /** Reads certificate, key and authorities again; when they cannot be used, that is logged and nothing changes. */
  reload(): void
  /** Answers what was asked, ends event streams, closes everything. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts the API. It answers also while Redis is away, and catches up when it is back. Throws ApiConfigError when another
 * API has the journal, or when the address cannot be listened at.
 */
export async function startApi(config: ApiConfig, log: FastifyBaseLogger): Promise<RunningApi> {
  await using stack = new AsyncDisposableStack()
  const published = stack.use(await openPublished(config.store))
  await makePlace(published, log)
  const endpoint = config.tracesEndpoint
  const traces =
    endpoint === undefined ? undefined : stack.use(await openTraces({ endpoint, service: 'ullage-api', log }))
  const traceparents = new DumpTraceparents()
  const journal = stack.use(openJournal(config.stateDir))
  const connection = stack.use(connectRedis(config.redis, { whileAway: 'fail', log }))
  const { redis } = connection
  const queue = stack.use(new BullQueue(redis, (error) => log.debug({ reason: error.message }, 'queue'), traceparents))
  const follow = new FollowJobs({ journal, queue, published, log })
  const fleet = new RedisFleet(redis)
  const board = config.bullBoard ? stack.use(await openQueueBoard({ redis, fleet, log })) : undefined
  const tls = openTls(config)
  const audit = openAuditLog(config)
  if (audit) stack.use(audit)
  const guard = makeGuard(config, audit, log)
  const app = await buildApi(
    {
      journal,
      queue,
      fleet,
      refusal: () => connection.refusal?.kind,
      writeProbe: writeProbeOf(redis),
      follow,
      published,
      quotaOf: makeQuotas(config, log),
      traceparents,
      board,
    },
    log,
    guard,
    { tls, traces, trustsProxy: config.trustsProxy },
  )

  const { retentionMs: keepMs, retentionMaxBytes: maxBytes, forgetMs } = config
  stack.use(retainRegularly({ journal, published, keepMs, maxBytes, forgetMs, log }, RETAIN_EVERY_MS))
  stack.use(hearHints(redis, follow, log))
  stack.use(sweepRegularly(redis, follow))
  stack.use(watchHosts(journal, fleet, log))
  stack.defer(() => app.close())
  const url = await listen(app, config.listen, tls !== undefined)
  log.info({ url }, 'api ready')
  const { listen: address, auth } = config
  if (!tls && (auth.keysFile ?? auth.jwt) && 'host' in address && !isLoopback(address.host)) {
    log.warn('keys and tokens come over the network as plain text: set ULLAGE_TLS_CERT_FILE, or end TLS in front')
  }

  const rest = stack.move()
  let closing: Promise<void> | undefined
  return {
    url,
    reachesRedis: connection.ready(),
    reload() {
      try {
        tls?.reload()
        if (tls) log.info('the certificate is read again')
      } catch (error) {
        log.error({ reason: error instanceof Error ? error.message : String(error) }, 'the certificate stays as it was')
      }
    },
    close() {
      closing ??= rest.disposeAsync()
      return closing
    },
  }
}

function openTls({ tls }: ApiConfig): TlsServers | undefined {
  if (!tls) return undefined
  try {
    return new TlsServers(tls)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const expected = 'ULLAGE_TLS_CERT_FILE, ULLAGE_TLS_KEY_FILE: expected a certificate and its key'
    throw new ApiConfigError(`${expected}: ${reason}`, { cause: error })
  }
}

/** A folder that does not answer now keeps the API from nothing: it is asked again when it is needed. */
async function makePlace(published: PublishedArtifacts, log: FastifyBaseLogger): Promise<void> {
  try {
    await published.makePlace(FOLDER_WITHIN_MS)
  } catch (error) {
    if (error instanceof StoreError) {
      log.warn({ reason: error.message }, 'artifacts and reports are unavailable until their folder answers')
      return
    }
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

async function listen(
  app: Awaited<ReturnType<typeof buildApi>>,
  address: ListenAddress,
  isSecure: boolean,
): Promise<string> {
  try {
    if ('path' in address) {
      // Left by an API that was killed; one that lives holds the journal, so this one never got here.
      await removeStaleSocket(address.path)
      await app.listen({ path: address.path })
      return `unix:${address.path}`
    }
    const url = await app.listen(address)
    return isSecure ? url.replace(/^http:/, 'https:') : url
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ApiConfigError(`ULLAGE_API_LISTEN: cannot listen there: ${reason}`, { cause: error })
  }
}
