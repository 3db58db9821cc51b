import type { RedisAddress } from '@ullage/dump-job'
import { Redis } from 'ioredis'
import type { FastifyBaseLogger } from 'fastify'

/** A command that Redis has not answered by then has failed, in milliseconds. */
const ANSWER_WITHIN_MS = 5_000

/** A connection on which nothing was answered for so long is made anew, in milliseconds: its way may be forgotten. */
const SILENT_MS = 15_000

/**
 * A client for requests that somebody waits for: while Redis is away commands fail at once instead of waiting, and the
 * connection is tried again in the background for ever.
 */
export function connectRedis(address: RedisAddress, log: FastifyBaseLogger): Redis {
  const redis = new Redis({
    ...address,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: ANSWER_WITHIN_MS,
    socketTimeout: SILENT_MS,
    retryStrategy: (times) => Math.min(times * 200, 3_000),
  })
  let said = ''
  redis.on('error', (error) => {
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
