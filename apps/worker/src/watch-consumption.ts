import { writeRefusalOf } from '@ullage/redis-connection'
import { type ConsumptionVerdict, judgeConsumption } from './judge-consumption.ts'
import { lookRegularly } from './look-regularly.ts'

const LOOK_EVERY_MS = 5_000

export interface WatchConsumptionOptions {
  /** Asks Redis how many jobs of this host wait for a free place. */
  readonly waiting: () => Promise<number>
  readonly running: () => number
  readonly concurrency: number
  readonly paused: () => boolean
  /** Whether the queue is no longer read though nobody asked for an end. */
  readonly stopped: () => boolean
}

export interface ConsumptionWatch extends Disposable {
  /** Tells it that the heartbeat was written. */
  beaten(): void
  /** Tells it that the heartbeat could not be written. */
  notBeaten(error: unknown): void
  /** Tells it that the queue is no longer read, and why. */
  ended(reason: string): void
  verdict(): ConsumptionVerdict
  /** Jobs that waited at the last look. */
  readonly waiting: number
}

/** Looks every 5 s, one look at a time, whether this worker still takes what waits. */
export function watchConsumption(options: WatchConsumptionOptions): ConsumptionWatch {
  let ended: string | undefined
  let answeredAt = performance.now()
  let beatAt: number | undefined
  let writeRefusal: string | undefined
  let waitingSince: number | undefined
  let waiting = 0
  const look = async () => {
    waiting = await options.waiting()
    answeredAt = performance.now()
    const idle = waiting > 0 && options.running() < options.concurrency
    waitingSince = idle ? (waitingSince ?? answeredAt) : undefined
  }
  const looks = lookRegularly(look, {
    everyMs: LOOK_EVERY_MS,
    // Its silence is what counts: the connection says itself what it is about.
    failed: () => (waitingSince = undefined),
  })
  return {
    beaten() {
      beatAt = performance.now()
      writeRefusal = undefined
    },
    notBeaten(error) {
      writeRefusal = writeRefusalOf(error)
    },
    ended(reason) {
      ended = reason
    },
    verdict: () =>
      judgeConsumption(
        {
          ended: ended ?? (options.stopped() ? 'it was closed' : undefined),
          paused: options.paused(),
          answeredAt,
          beatAt,
          writeRefusal,
          waitingSince,
          running: options.running(),
        },
        performance.now(),
      ),
    get waiting() {
      return waiting
    },
    [Symbol.dispose]: () => looks[Symbol.dispose](),
  }
}
