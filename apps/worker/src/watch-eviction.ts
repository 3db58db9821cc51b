import { setTimeout as delay } from 'node:timers/promises'
import { evictingPolicy, type RedisClient } from '@ullage/redis-connection'
import type { Logger } from 'pino'

const LOOK_EVERY_MS = 10_000

export interface EvictionWatch extends Disposable {
  /** The policy by which Redis may drop keys, by the last look; undefined while it keeps them. */
  readonly policy: string | undefined
}

/**
 * Looks every 10 s, and whenever Redis is connected to anew, whether it may drop keys meanwhile: somebody set another policy, or
 * another server took the place of its master. Says when that begins and when it is over.
 */
export function watchEviction(redis: RedisClient, log: Logger): EvictionWatch {
  let policy: string | undefined
  let looking: Promise<void> | undefined
  const look = async () => {
    // A server that has just died leaves the question open for as long as it is waited for.
    const found = await Promise.race([evictingPolicy(redis), noAnswer()])
    if (found === policy) return
    policy = found
    if (policy !== undefined) log.error({ policy }, 'redis may drop jobs and locks: expected noeviction')
    else log.info('redis keeps jobs and locks again')
  }
  const lookOnce = () => {
    if (redis.status !== 'ready') return
    // What it does not answer is known no better than before.
    looking ??= look()
      .catch((error: unknown) => log.debug({ reason: String(error) }, 'the policy of redis could not be told'))
      .finally(() => {
        looking = undefined
      })
  }
  const timer = setInterval(lookOnce, LOOK_EVERY_MS)
  redis.on('ready', lookOnce)
  return {
    get policy() {
      return policy
    },
    [Symbol.dispose]() {
      clearInterval(timer)
      redis.off('ready', lookOnce)
    },
  }
}

async function noAnswer(): Promise<never> {
  await delay(LOOK_EVERY_MS, undefined, { ref: false })
  throw new Error(`no answer in ${LOOK_EVERY_MS / 1000} s`)
}
