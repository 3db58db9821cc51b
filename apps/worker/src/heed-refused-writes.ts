import { hostWriteProbeKey } from '@ullage/dump-job'
import { probeWrites, type RedisClient } from '@ullage/redis-connection'
import type { Logger } from 'pino'
import { lookRegularly } from './look-regularly.ts'
import type { TakingJobs } from './taking-jobs.ts'

/** How often a write is tried, in milliseconds. */
const LOOK_EVERY_MS = 2_000

export interface HeedRefusedWritesOptions {
  readonly redis: RedisClient
  readonly host: string
  readonly taking: TakingJobs
  readonly log: Logger
}

/**
 * Has the worker take jobs only while Redis takes writes, until disposed: a full one gives jobs away, and renews no lock. Reads,
 * and the end of a job, it goes on to answer.
 */
export function heedRefusedWrites({ redis, host, taking, log }: HeedRefusedWritesOptions): Disposable {
  const look = async () => {
    const code = await probeWrites(redis, [hostWriteProbeKey(host)])
    const held = taking.isHeldFor('redisTakesNoWrites')
    if (code !== undefined && !held) {
      await taking.hold('redisTakesNoWrites')
      log.error(
        { code },
        'redis takes no writes: nothing is begun, and what is finished is published when it does again',
      )
    }
    if (code === undefined && held) {
      taking.release('redisTakesNoWrites')
      log.info('redis takes writes again')
    }
  }
  return lookRegularly(look, {
    everyMs: LOOK_EVERY_MS,
    failed: (error) => log.warn({ reason: String(error) }, 'it could not be told whether redis takes writes'),
  })
}
