import type { RedisAddress } from '@ullage/dump-job'
import { openClient, type RedisClient, type WhileAway } from './redis-client.ts'
import { type RedisRefusal, RedisRefused, refusalOf } from './refusal.ts'
import { tlsFailure } from './tls-failure.ts'

export interface ConnectRedisOptions {
  readonly whileAway: WhileAway
  readonly log: {
    info(what: string): void
    warn(facts: object, what: string): void
  }
}

export interface RedisConnection extends Disposable {
  readonly redis: RedisClient
  /** Why Redis does not let this process in; undefined while it does, and while it is away. */
  readonly refusal: RedisRefusal | undefined
  /** Waits for the first connection as long as it takes. Throws RedisRefused when Redis does not let this process in. */
  ready(): Promise<void>
}

/** Connects in the background and for ever. What keeps it from it is logged, once. */
export function connectRedis(address: RedisAddress, { whileAway, log }: ConnectRedisOptions): RedisConnection {
  const redis = openClient(address, whileAway)
  const first = Promise.withResolvers<void>()
  // Not everybody waits for it.
  first.promise.catch(() => undefined)
  let said = ''
  let refusal: RedisRefusal | undefined
  const tell = (reason: string, refused: RedisRefusal | undefined) => {
    refusal = refused
    const text = refused?.sentence ?? reason
    // One line for a fault, not one for each attempt to connect.
    if (text !== said) log.warn({ reason: text }, refused ? 'redis refuses this process' : 'redis is out of reach')
    said = text
    if (refused !== undefined) first.reject(new RedisRefused(refused.sentence))
  }
  let looking = false
  redis.on('error', (error: Error) => {
    const last = 'lastNodeError' in error && error.lastNodeError instanceof Error ? error.lastNodeError : undefined
    const reason = (last ? `${error.message} ${last.message}` : error.message).replace(RETRY, '')
    const refused = refusalOf(error) ?? (last && refusalOf(last))
    const servers = 'nodes' in address ? address.nodes : 'sentinels' in address ? address.sentinels : []
    const isHidden = refused === undefined && 'tls' in address && servers.length > 0 && reason.includes(CLOSED)
    if (!isHidden) return tell(reason, refused)
    if (looking) return undefined
    looking = true
    void refusedTls(servers).then((found) => {
      looking = false
      if (redis.status !== 'ready' && redis.status !== 'end') tell(reason, found)
    })
    return undefined
  })
  redis.on('ready', () => {
    if (said) log.info('redis is back')
    said = ''
    refusal = undefined
    first.resolve()
  })
  return {
    redis,
    get refusal() {
      return refusal
    },
    ready: () => first.promise,
    [Symbol.dispose]: () => redis.disconnect(),
  }
}

/** Part of what ioredis says of Sentinels, another one each time. */
const RETRY = / Retrying from scratch after \d+ms\./
/** All that ioredis says when the TLS of a Sentinel or of a Cluster's node fails. */
const CLOSED = 'Connection is closed'

/** Why the first of these servers that refuses it does not do TLS with this process; undefined when none does. */
async function refusedTls(servers: readonly { host: string; port: number }[]): Promise<RedisRefusal | undefined> {
  for (const server of servers) {
    const failure = await tlsFailure(server)
    const refused = failure && refusalOf(failure)
    if (refused !== undefined) return refused
  }
  return undefined
}
