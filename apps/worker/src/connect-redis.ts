import type { RedisAddress, RedisClusterAddress, RedisServerAddress } from '@ullage/dump-job'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { Logger } from 'pino'

/** A client of one Redis, of the one that Sentinels name, or of a Cluster. */
export type RedisClient = Redis | Cluster

const retryAfterMs = (times: number) => Math.min(times * 200, 3_000)

/**
 * A Redis that leaves a command unanswered for so long is connected to anew, in milliseconds: a way that a router has
 * forgotten answers nothing, for ever. Longer than BullMQ waits for a job, shorter than what makes a host unreachable.
 */
const SILENT_MS = 15_000

/**
 * A client that never gives up on its own: commands wait while Redis is away, as BullMQ's workers need. The first
 * connection is made in the background.
 */
export function connectRedis(address: RedisAddress, log: Logger): RedisClient {
  const redis = 'nodes' in address ? connectCluster(address) : connectServer(address)
  let said = ''
  redis.on('error', (error: Error) => {
    // One line for a fault, not one for each attempt to connect.
    if (error.message !== said) log.warn({ reason: error.message }, 'redis is out of reach')
    said = error.message
  })
  redis.on('ready', () => {
    if (said) log.info('redis is back')
    said = ''
  })
  return redis
}

/** Another connection to the same Redis, for what one connection alone cannot do beside its commands. */
export function duplicateRedis(redis: RedisClient): RedisClient {
  return redis instanceof Cluster ? redis.duplicate() : redis.duplicate()
}

function connectServer(address: RedisServerAddress): Redis {
  const options = {
    ...address,
    maxRetriesPerRequest: null,
    socketTimeout: SILENT_MS,
    retryStrategy: retryAfterMs,
    sentinelRetryStrategy: retryAfterMs,
    // A master that became a replica is left for the new one.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  } satisfies RedisOptions
  return new Redis(options)
}

function connectCluster({ nodes, ...common }: RedisClusterAddress): Cluster {
  return new Cluster(nodes, {
    redisOptions: { ...common, maxRetriesPerRequest: null },
    clusterRetryStrategy: retryAfterMs,
    // A failover takes some seconds; until it is done commands are sent again and again.
    maxRedirections: 100,
    retryDelayOnFailover: 300,
    retryDelayOnClusterDown: 300,
    ...(common.tls && {
      dnsLookup: (host: string, found: (error: null, address: string) => void) => found(null, host),
    }),
  })
}
