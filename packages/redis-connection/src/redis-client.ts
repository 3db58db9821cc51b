import type { RedisAddress, RedisClusterAddress, RedisServerAddress } from '@ullage/dump-job'
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis'
import { settleConnect } from './settle-connect.ts'

/** A client of one Redis, of the one that Sentinels name, or of a Cluster. */
export type RedisClient = Redis | Cluster

/** What becomes of commands while Redis is away: they wait for it, or fail at once. */
export type WhileAway = 'wait' | 'fail'

/** A command of somebody who waits has failed when Redis has not answered it by then, in milliseconds. */
const ANSWER_WITHIN_MS = 5_000

/**
 * A Redis that leaves a command unanswered for so long is connected to anew, in milliseconds: a way that a router has
 * forgotten answers nothing, for ever. Longer than BullMQ waits for a job, shorter than what makes a host unreachable.
 */
const SILENT_MS = 15_000

const retryAfterMs = (times: number) => Math.min(times * 200, 3_000)

const serverOptions = {
  wait: { maxRetriesPerRequest: null },
  fail: { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: ANSWER_WITHIN_MS },
} satisfies Record<WhileAway, RedisOptions>

const clusterOptions = {
  wait: {
    redisOptions: { maxRetriesPerRequest: null, socketTimeout: SILENT_MS },
    // A failover takes some seconds; until it is done commands are sent again and again.
    maxRedirections: 100,
    retryDelayOnFailover: 300,
    retryDelayOnClusterDown: 300,
  },
  fail: {
    redisOptions: { commandTimeout: ANSWER_WITHIN_MS, socketTimeout: SILENT_MS },
    enableOfflineQueue: false,
  },
} satisfies Record<WhileAway, ClusterOptions>

/** A client that connects in the background, again and again for ever. Whoever has it listens to its errors. */
export function openClient(address: RedisAddress, whileAway: WhileAway): RedisClient {
  return 'nodes' in address ? openCluster(address, whileAway) : openServer(address, whileAway)
}

/** Another connection to the same Redis, for channels. What is asked of it waits for the connection. */
export function connectSubscriber(redis: RedisClient): RedisClient {
  const waits = { enableOfflineQueue: true }
  return redis instanceof Cluster
    ? redis.duplicate(undefined, waits)
    : redis.duplicate({ ...waits, maxRetriesPerRequest: null })
}

function openServer(address: RedisServerAddress, whileAway: WhileAway): Redis {
  return new Redis({
    ...address,
    ...serverOptions[whileAway],
    socketTimeout: SILENT_MS,
    retryStrategy: retryAfterMs,
    sentinelRetryStrategy: retryAfterMs,
    // A master that became a replica is left for the new one.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  })
}

function openCluster({ nodes, ...common }: RedisClusterAddress, whileAway: WhileAway): Cluster {
  const options = clusterOptions[whileAway]
  const cluster = new Cluster(nodes, {
    ...options,
    redisOptions: { ...common, ...options.redisOptions },
    clusterRetryStrategy: retryAfterMs,
    // Certificates are checked against the names that nodes go by.
    ...(common.tls && {
      dnsLookup: (host: string, found: (error: null, address: string) => void) => found(null, host),
    }),
  })
  return settleConnect(cluster)
}
