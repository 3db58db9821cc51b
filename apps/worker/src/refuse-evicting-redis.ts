import { evictingPolicy, type RedisClient, refusalOf } from '@ullage/redis-connection'
import { WorkerConfigError } from './worker-config.ts'

/**
 * Throws WorkerConfigError unless this Redis keeps what it is given: one that evicts keys loses jobs and their locks, and
 * workers then stop consuming without a word. Also when the user may not ask it.
 */
export async function refuseEvictingRedis(redis: RedisClient): Promise<void> {
  const policy = await evictingPolicy(redis).catch((error: unknown) => {
    const refusal = error instanceof Error ? refusalOf(error) : undefined
    if (refusal === undefined) throw error
    throw new WorkerConfigError(`ULLAGE_REDIS_URL: ${refusal.sentence}`, { cause: error })
  })
  if (policy === undefined) return
  throw new WorkerConfigError(
    `expected a Redis with maxmemory-policy noeviction, found ${policy}: any other lets it ` +
      'drop jobs and locks; set "maxmemory-policy noeviction" in redis.conf or with CONFIG SET, then start the worker again',
  )
}
