import { masterKeys, probeWrites, type RedisClient } from '@ullage/redis-connection'
import { ApiProblem } from './problem.ts'
import { sharedAnswer } from './shared-answer.ts'

/** Nobody reads it. */
const KEY = 'ullage:write-probe'
/** What was found stands for so long, in milliseconds. */
const STANDS_MS = 1_000
/** How long it is waited for, in milliseconds. */
const WITHIN_MS = 2_000

/** The code by which Redis refuses writes, such as `OOM`; undefined while it takes them. Throws ApiProblem QUEUE_UNREACHABLE. */
export type WriteProbe = () => Promise<string | undefined>

/** Writes a key that is forgotten soon; in a Cluster one at each master, since each has some hosts' queues. */
export function writeProbeOf(redis: RedisClient): WriteProbe {
  return async () => {
    try {
      return await probeWrites(redis, masterKeys(redis, KEY))
    } catch (cause) {
      throw new ApiProblem('QUEUE_UNREACHABLE', 'redis did not answer in time', { cause })
    }
  }
}

/** The same, once a second at most, however many ask. */
export function sharedProbe(probe: WriteProbe): WriteProbe {
  const late = () => new ApiProblem('QUEUE_UNREACHABLE', 'redis did not answer in time')
  return sharedAnswer(probe, { standsMs: STANDS_MS, withinMs: WITHIN_MS, late })
}
