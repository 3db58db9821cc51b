import type { DumpProgress } from '@ullage/dump-job'
import type { Job } from 'bullmq'
import type { Logger } from 'pino'

const EVERY_MS = 1_000

export interface ProgressRelay {
  report(progress: DumpProgress): void
  end(): void
}

/**
 * Puts the latest progress on the job, at most once a second and one at a time, so that a Redis that is away costs no
 * memory. Progress that cannot be put there is dropped: the next one says more.
 */
export function relayProgress(job: Job, announce: (job: string) => void, log: Logger): ProgressRelay {
  let latest: DumpProgress | undefined
  let underWay = false
  const pass = () => {
    if (!latest || underWay) return
    const progress = latest
    latest = undefined
    underWay = true
    job
      .updateProgress(progress)
      .then(() => announce(job.id ?? ''))
      .catch((error: unknown) => log.warn({ reason: String(error) }, 'progress could not be passed on'))
      .finally(() => {
        underWay = false
      })
  }
  const timer = setInterval(pass, EVERY_MS)
  let stage: string | undefined
  return {
    report(progress) {
      latest = progress
      if (stage === undefined) pass()
      stage = progress.stage
    },
    end() {
      clearInterval(timer)
      latest = undefined
    },
  }
}
