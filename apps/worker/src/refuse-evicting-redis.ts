import type { Redis } from 'ioredis'
import { WorkerConfigError } from './worker-config.ts'

/**
 * Throws WorkerConfigError unless this Redis keeps what it is given: one that evicts keys loses jobs and their locks, and
 * workers then stop consuming without a word. Asks INFO, which managed services allow where they forbid CONFIG.
 */
export async function refuseEvictingRedis(redis: Redis): Promise<void> {
  const policy = /^maxmemory_policy:(\S+)/m.exec(await redis.info('memory'))?.[1]
  if (policy === 'noeviction') return
  throw new WorkerConfigError(
    `expected a Redis with maxmemory-policy noeviction, found ${policy ?? 'none in INFO memory'}: any other lets it drop ` +
      'jobs and locks; set "maxmemory-policy noeviction" in redis.conf or with CONFIG SET, then start the worker again',
  )
}
