import type { RedisAddress } from '@ullage/dump-job'
import { Redis } from 'ioredis'
import type { Logger } from 'pino'

/**
 * A Redis that leaves a command unanswered for so long is connected to anew, in milliseconds: a way that a router has
 * forgotten answers nothing, for ever. Longer than BullMQ waits for a job, shorter than what makes a host unreachable.
 */
const SILENT_MS = 15_000

/**
 * A client that never gives up on its own: commands wait while Redis is away, as BullMQ's workers need. The first
 * connection is made in the background.
 */
export function connectRedis(address: RedisAddress, log: Logger): Redis {
  const redis = new Redis({
    ...address,
    maxRetriesPerRequest: null,
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
