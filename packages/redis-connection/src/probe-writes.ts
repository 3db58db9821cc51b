import type { RedisClient } from './redis-client.ts'
import { writeRefusalOf } from './write-refusal.ts'

/** How long what is written is kept, in milliseconds. Nobody reads it. */
const KEPT_MS = 10_000

/**
 * Writes keys that are forgotten soon. Returns the code by which Redis refuses one of them, such as `OOM`; undefined where it takes
 * them all. Throws what goes wrong otherwise.
 */
export async function probeWrites(redis: RedisClient, keys: readonly string[]): Promise<string | undefined> {
  const written = await Promise.allSettled(keys.map((key) => redis.set(key, '', 'PX', KEPT_MS)))
  const errors = written.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []))
  if (errors.length === 0) return undefined
  const code = errors.map(writeRefusalOf).find((found) => found !== undefined)
  if (code === undefined) throw errors[0]
  return code
}
