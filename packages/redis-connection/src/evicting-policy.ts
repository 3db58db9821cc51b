import { Cluster, type Redis } from 'ioredis'
import type { RedisClient } from './redis-client.ts'

/**
 * The `maxmemory-policy` by which this Redis may drop keys, of a Cluster with the master that has it; undefined when it keeps
 * what it is given. Asks INFO, which managed services allow where they forbid CONFIG; of a Cluster, every master.
 */
export async function evictingPolicy(redis: RedisClient): Promise<string | undefined> {
  if (!(redis instanceof Cluster)) return policyOf(redis)
  for (const master of redis.nodes('master')) {
    const policy = await policyOf(master)
    if (policy !== undefined) return `${policy} at ${master.options.host}:${master.options.port}`
  }
  return undefined
}

async function policyOf(redis: Redis): Promise<string | undefined> {
  const policy = /^maxmemory_policy:(\S+)/m.exec(await redis.info('memory'))?.[1]
  return policy === 'noeviction' ? undefined : (policy ?? 'none in INFO memory')
}
