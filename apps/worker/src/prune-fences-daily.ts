import { keepFinishedSeconds } from '@ullage/dump-job'
import type { Logger } from 'pino'
import { pruneFences } from './attempt-fence.ts'
import { lookRegularly } from './look-regularly.ts'

const EVERY_MS = 24 * 3600 * 1000
/** How long a fence that nobody touches is kept, in milliseconds: longer than a job stays in its queue; who begins it after that begins it anew. */
export const FENCES_KEPT_MS = 2 * keepFinishedSeconds * 1000

export interface PruneFencesDailyOptions {
  readonly folder: string
  readonly log: Pick<Logger, 'warn'>
  readonly everyMs?: number
}

/**
 * Removes, once a day until disposed, fences that nobody has touched for twice as long as a finished job is kept. Whose fence is
 * gone may not publish, so that none but the attempt that began last ever could. A folder that hangs is asked once.
 */
export function pruneFencesDaily({ folder, log, everyMs = EVERY_MS }: PruneFencesDailyOptions): Disposable {
  return lookRegularly(() => pruneFences(folder, FENCES_KEPT_MS), {
    everyMs,
    failed: (error) => log.warn({ reason: String(error) }, 'fences of dumps that ended are still there'),
  })
}
