import { masterKeys, type RedisClient, writeRefusalOf } from '@ullage/redis-connection'
import { ApiProblem } from './problem.ts'
import { sharedAnswer } from './shared-answer.ts'

/** Nobody reads it. */
const KEY = 'ullage:write-probe'
/** How long it is kept, in milliseconds. */
const KEPT_MS = 10_000
/** What was found stands for so long, in milliseconds. */
const STANDS_MS = 1_000
/** How long it is waited for, in milliseconds. */
const WITHIN_MS = 2_000

/** The code by which Redis refuses writes, such as `OOM`; undefined while it takes them. Throws ApiProblem QUEUE_UNREACHABLE. */
export type WriteProbe = () => Promise<string | undefined>

/** Writes a key that is forgotten soon; in a Cluster one at each master, since each has some hosts' queues. */
export function writeProbeOf(redis: RedisClient): WriteProbe {
  return async () => {
    const writes = masterKeys(redis, KEY).map((key) => redis.set(key, '', 'PX', KEPT_MS))
    const errors = (await Promise.allSettled(writes)).flatMap((each) =>
      each.status === 'rejected' ? [each.reason as unknown] : [],
    )
    if (errors.length === 0) return undefined
    const code = errors.map(writeRefusalOf).find((found) => found !== undefined)
    if (code === undefined) {
      throw new ApiProblem('QUEUE_UNREACHABLE', 'redis did not answer in time', { cause: errors[0] })
    }
    return code
  }
}

/** The same, once a second at most, however many ask. */
export function sharedProbe(probe: WriteProbe): WriteProbe {
  const late = () => new ApiProblem('QUEUE_UNREACHABLE', 'redis did not answer in time')
  return sharedAnswer(probe, { standsMs: STANDS_MS, withinMs: WITHIN_MS, late })
}
