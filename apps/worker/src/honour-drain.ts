import { hostDrainKey } from '@ullage/dump-job'
import type { Worker } from 'bullmq'
import type { Logger } from 'pino'
import type { RedisClient } from '@ullage/redis-connection'

/** How often it is looked whether the host is drained, in milliseconds. */
const LOOK_EVERY_MS = 2_000

export interface HonourDrainOptions {
  readonly redis: RedisClient
  readonly host: string
  /** Takes no jobs while the host is drained. What it has it finishes. */
  readonly worker: Pick<Worker, 'isPaused' | 'pause' | 'resume'>
  readonly log: Logger
}

export interface HonouredDrain extends AsyncDisposable {
  /** Whether the host was drained at the last look. */
  readonly isDrained: boolean
}

/** Has the worker take jobs only while its host is not drained, until disposed. Resolves after the first look. */
export async function honourDrain({ redis, host, worker, log }: HonourDrainOptions): Promise<HonouredDrain> {
  let isDrained = false
  const look = async () => {
    const drained = (await redis.exists(hostDrainKey(host))) === 1
    isDrained = drained
    if (drained === worker.isPaused()) return
    // Without waiting for what runs: it may take hours.
    if (drained) await worker.pause(true)
    else worker.resume()
    log.info({ drained }, drained ? 'the host is drained: no dump is begun' : 'dumps are begun again')
  }
  await look()
  let looking: Promise<void> | undefined
  const timer = setInterval(() => {
    looking ??= look()
      .catch((error: unknown) =>
        log.warn({ reason: String(error) }, 'it could not be told whether the host is drained'),
      )
      .finally(() => {
        looking = undefined
      })
  }, LOOK_EVERY_MS)
  return {
    get isDrained() {
      return isDrained
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await looking
    },
  }
}
