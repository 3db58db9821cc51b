import type { DumpProgress } from '@ullage/dump-job'
import type { Job } from 'bullmq'
import type { Logger } from 'pino'

const EVERY_MS = 1_000
/** How long the last progress of an attempt may take to arrive, in milliseconds. */
const LAST_WITHIN_MS = 1_000

export interface ProgressRelay {
  report(progress: DumpProgress): void
  /** Passes the last progress on, unless that takes long. Nothing is passed on after it. */
  end(): Promise<void>
}

/**
 * Puts the latest progress on the job: the first and the last of a stage at once, others at most once a second, one at a
 * time, so that a Redis that is away costs no memory. Progress that cannot be put there is dropped: the next one says more.
 */
export function relayProgress(
  job: Pick<Job, 'id' | 'updateProgress'>,
  announce: (job: string) => void,
  log: Pick<Logger, 'warn'>,
): ProgressRelay {
  let latest: DumpProgress | undefined
  let urgent = false
  let underWay: Promise<void> | undefined
  const pass = (): Promise<void> => {
    if (underWay || !latest) return underWay ?? Promise.resolve()
    const progress = latest
    latest = undefined
    urgent = false
    underWay = job
      .updateProgress(progress)
      .then(() => announce(job.id ?? ''))
      .catch((error: unknown) => log.warn({ reason: String(error) }, 'progress could not be passed on'))
      .then(() => {
        underWay = undefined
        if (urgent) void pass()
      })
    return underWay
  }
  const timer = setInterval(pass, EVERY_MS)
  let before: DumpProgress | undefined
  return {
    report(progress) {
      latest = progress
      if (progress.stage !== before?.stage || (progress.done >= progress.total && before.done < before.total)) {
        urgent = true
        void pass()
      }
      before = progress
    },
    async end() {
      clearInterval(timer)
      const late = Promise.withResolvers<void>()
      const timeout = setTimeout(() => late.resolve(), LAST_WITHIN_MS)
      // The one under way, then the one that waits for it.
      await Promise.race([pass().then(pass), late.promise])
      clearTimeout(timeout)
      latest = undefined
    },
  }
}
