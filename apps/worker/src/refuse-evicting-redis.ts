import { once } from 'node:events'
import type { RedisClient } from '@ullage/redis-connection'
import { Cluster } from 'ioredis'
import { WorkerConfigError } from './worker-config.ts'

/**
 * Throws WorkerConfigError unless this Redis keeps what it is given: one that evicts keys loses jobs and their locks, and
 * workers then stop consuming without a word. Asks INFO, which managed services allow where they forbid CONFIG; of a Cluster,
 * every master. Waits until Redis answers.
 */
export async function refuseEvictingRedis(redis: RedisClient): Promise<void> {
  if (!(redis instanceof Cluster)) return refuseUnlessKept(await redis.info('memory'), '')
  if (redis.status !== 'ready') await once(redis, 'ready')
  for (const master of redis.nodes('master')) {
    const where = ` at ${master.options.host}:${master.options.port}`
    refuseUnlessKept(await master.info('memory'), where)
  }
}

function refuseUnlessKept(info: string, where: string): void {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1]
  if (policy === 'noeviction') return
  throw new WorkerConfigError(
    `expected a Redis with maxmemory-policy noeviction, found ${policy ?? 'none in INFO memory'}${where}: any other lets it ` +
      'drop jobs and locks; set "maxmemory-policy noeviction" in redis.conf or with CONFIG SET, then start the worker again',
  )
}
