import type { RedisAddress, RedisClusterAddress, RedisServerAddress } from '@ullage/dump-job'
import type { FastifyBaseLogger } from 'fastify'
import { Cluster, Redis, type RedisOptions } from 'ioredis'

/** A client of one Redis, of the one that Sentinels name, or of a Cluster. */
export type RedisClient = Redis | Cluster

/** A command that Redis has not answered by then has failed, in milliseconds. */
const ANSWER_WITHIN_MS = 5_000

/** A connection on which nothing was answered for so long is made anew, in milliseconds: its way may be forgotten. */
const SILENT_MS = 15_000

const retryAfterMs = (times: number) => Math.min(times * 200, 3_000)

/**
 * A client for requests that somebody waits for: while Redis is away commands fail at once instead of waiting, and the
 * connection is tried again in the background for ever.
 */
export function connectRedis(address: RedisAddress, log: FastifyBaseLogger): RedisClient {
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

/** A connection of its own for channels. Its one command waits for the connection. */
export function connectSubscriber(redis: RedisClient): RedisClient {
  const waits = { enableOfflineQueue: true }
  return redis instanceof Cluster
    ? redis.duplicate(undefined, waits)
    : redis.duplicate({ ...waits, maxRetriesPerRequest: null })
}

function connectServer(address: RedisServerAddress): Redis {
  const options = {
    ...address,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: ANSWER_WITHIN_MS,
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
    redisOptions: { ...common, commandTimeout: ANSWER_WITHIN_MS, socketTimeout: SILENT_MS },
    enableOfflineQueue: false,
    clusterRetryStrategy: retryAfterMs,
    ...(common.tls && {
      dnsLookup: (host: string, found: (error: null, address: string) => void) => found(null, host),
    }),
  })
}
