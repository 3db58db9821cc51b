import { z } from 'zod'

/** A code for programs: capitals, digits and underscores. */
export const failureCode = z.string().regex(/^[A-Z][A-Z0-9_]{1,63}$/)

/** Why a dump did not come to be: a code for programs, and a sentence for people. */
export const dumpFailure = z
  .object({ code: failureCode, message: z.string().min(1).max(4_000) })
  .meta({ id: 'DumpFailure' })
export type DumpFailure = z.infer<typeof dumpFailure>

/** Longest message that is kept; what an engine says beyond it is cut. */
const MESSAGE_CHARACTERS = 4_000

/**
 * The failure as the one line that a queue keeps of a failed job. `failureOfReason` reads it back.
 */
export function reasonOfFailure({ code, message }: DumpFailure): string {
  return `${code}: ${message}`
}

export function toFailure(code: string, message: string): DumpFailure {
  return {
    code: failureCode.safeParse(code).success ? code : 'INTERNAL',
    message: message.slice(0, MESSAGE_CHARACTERS) || 'no reason was given',
  }
}

/** What BullMQ itself says of a job whose worker stopped renewing its lock more often than is allowed. */
const STALLED = 'job stalled more than allowable limit'
const STARTED_TOO_OFTEN = 'job started more than allowable limit'

/** The failure behind a queue's reason, which may also be one of the queue's own. */
export function failureOfReason(reason: string): DumpFailure {
  if (reason.startsWith(STALLED) || reason.startsWith(STARTED_TOO_OFTEN)) {
    return {
      code: 'WORKER_LOST',
      message:
        'its worker died, or was out of reach of Redis for longer than its lock lasts, more than once while it made this ' +
        'dump; see its log on the host, then post the dump again',
    }
  }
  const [, code, message] = /^([A-Z][A-Z0-9_]{1,63}): (.+)$/s.exec(reason) ?? []
  return code && message ? toFailure(code, message) : toFailure('INTERNAL', reason)
}
