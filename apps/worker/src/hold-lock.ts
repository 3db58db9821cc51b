import type { Job } from 'bullmq'
import type { Logger } from 'pino'

/**
 * Renews the job's lock each quarter of its time until disposed, and calls `lost` once when it is somebody else's or gone. Goes by
 * a timer: BullMQ's own renewing compares times of the wall clock, and renews nothing for an hour when that is set back by one.
 */
export function holdLock(
  job: Pick<Job, 'id' | 'extendLock'>,
  { token, lockMs, lost, log }: { token: string; lockMs: number; lost: () => void; log: Pick<Logger, 'warn'> },
): Disposable {
  let asking = false
  let ended = false
  const timer = setInterval(() => {
    // One at a time: while Redis is away, questions do not pile up.
    if (asking) return
    asking = true
    job
      .extendLock(token, lockMs)
      .then((held) => {
        if (held === 1 || ended) return
        clearInterval(timer)
        lost()
      })
      .catch((error: unknown) => log.warn({ job: job.id, reason: String(error) }, 'the lock could not be renewed'))
      .finally(() => {
        asking = false
      })
  }, lockMs / 4)
  return {
    [Symbol.dispose]() {
      ended = true
      clearInterval(timer)
    },
  }
}
