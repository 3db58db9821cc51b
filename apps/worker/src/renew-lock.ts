import type { Job } from 'bullmq'
import type { Logger } from 'pino'
import { AttemptError } from './job-failure.ts'
import { onceWritesAreTaken } from './once-writes-are-taken.ts'

const ASK_EVERY_MS = 500

export interface RenewLockOptions {
  readonly token: string
  readonly lockMs: number
  /** Ends the waiting; its reason is thrown. */
  readonly signal: AbortSignal
  readonly log: Pick<Logger, 'warn'>
}

/**
 * Resolves when the job is still this attempt's, and Redis has written that down. While Redis takes no writes it waits: nobody
 * else can have the job by that alone. Throws AttemptError LOCK_LOST when the job is not this attempt's any more.
 */
export async function renewLock(
  job: Pick<Job, 'id' | 'extendLock'>,
  { token, lockMs, signal, log }: RenewLockOptions,
): Promise<void> {
  const held = await onceWritesAreTaken(() => job.extendLock(token, lockMs), {
    onRefused: (code) => log.warn({ job: job.id, code }, 'redis takes no writes: waited for'),
    tryEveryMs: ASK_EVERY_MS,
    signal,
  }).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : lockLost(error)
  })
  // A lock that is somebody else's, or gone, is no error to BullMQ: it answers 0.
  if (held !== 1) throw lockLost()
}

export function lockLost(cause?: unknown): AttemptError {
  const message = 'the queue gave this job away while it ran; what this attempt made is not published'
  return new AttemptError('LOCK_LOST', message, cause === undefined ? {} : { cause })
}
