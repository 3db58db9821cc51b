import { hostDrainKey } from '@ullage/dump-job'
import type { RedisClient } from '@ullage/redis-connection'
import type { Logger } from 'pino'
import { lookRegularly } from './look-regularly.ts'
import type { TakingJobs } from './taking-jobs.ts'

/** How often it is looked whether the host is drained, in milliseconds. */
const LOOK_EVERY_MS = 2_000

export interface HonourDrainOptions {
  readonly redis: RedisClient
  readonly host: string
  readonly taking: TakingJobs
  readonly log: Logger
}

/** Has the worker take jobs only while its host is not drained, until disposed. Resolves after the first look. */
export async function honourDrain({ redis, host, taking, log }: HonourDrainOptions): Promise<Disposable> {
  const look = async () => {
    const drained = (await redis.exists(hostDrainKey(host))) === 1
    if (drained === taking.isHeldFor('drained')) return
    if (drained) await taking.hold('drained')
    else taking.release('drained')
    log.info({ drained }, drained ? 'the host is drained: no dump is begun' : 'dumps are begun again')
  }
  await look()
  return lookRegularly(look, {
    everyMs: LOOK_EVERY_MS,
    failed: (error) => log.warn({ reason: String(error) }, 'it could not be told whether the host is drained'),
  })
}
