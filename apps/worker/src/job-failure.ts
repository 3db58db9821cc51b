import { StoreError } from '@ullage/artifact-store'
import { type DumpFailure, reasonOfFailure, toFailure } from '@ullage/dump-job'
import { UnrecoverableError } from 'bullmq'
import { errnoOf } from './errno-of.ts'

/** An attempt that ended without an artifact, for a reason that clients are told. */
export class AttemptError extends Error {
  override readonly name = 'AttemptError'
  readonly failure: DumpFailure

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.failure = toFailure(code, message)
  }
}

/**
 * How many attempts a dump gets when one ends with this code. What is not listed will not end otherwise the next time:
 * it fails for good.
 */
const attemptsByCode: Readonly<Record<string, number>> = {
  // The hypervisor did not answer, or somebody else holds the guest: both pass.
  UNAVAILABLE: 3,
  BUSY: 3,
  GUEST_BUSY: 3,
  MONITOR_BUSY: 3,
  TIMEOUT: 3,
  RESUMED_BY_OTHERS: 2,
  GUARDIAN_FAILED: 2,
  // The store or the KMS did not answer.
  STORE_UNAVAILABLE: 3,
  KEY_UNAVAILABLE: 3,
  // Killed, out of memory, a fault in a codec: worth trying once more.
  CHILD_DIED: 2,
  CHILD_SILENT: 2,
  UNREADABLE: 2,
  MEMORY_UNREADABLE: 2,
  VERIFY_FAILED: 2,
  // Another attempt of this job has the lock now, or will.
  LOCK_LOST: Number.POSITIVE_INFINITY,
}

/**
 * The error that makes BullMQ do what the failure asks for: try again, or UnrecoverableError. `attempt` counts from 1;
 * `earlier` is the reason of the attempt before, if there was one: what it failed of first stays part of the reason.
 */
export function toJobError(error: unknown, attempt: number, earlier?: string): Error {
  const failure = failureOf(error)
  const reason = withFirst(failure, earlier)
  return attempt < (attemptsByCode[failure.code] ?? 1)
    ? new Error(reason, { cause: error })
    : Object.assign(new UnrecoverableError(reason), { cause: error })
}

/** What the system says, in our and in the child's calls, when there is no room. */
const FULL: readonly (string | undefined)[] = ['ENOSPC', 'EDQUOT']

/** What clients are told of an error. */
export function failureOf(error: unknown): DumpFailure {
  const told =
    error instanceof AttemptError
      ? error.failure
      : error instanceof StoreError
        ? toFailure(error.code, error.message)
        : undefined
  const message = told?.message ?? (error instanceof Error ? error.message : String(error))
  if (FULL.includes(told?.code ?? errnoOf(error)))
    return toFailure('NO_SPACE', `a disk of this host is full: ${message}`)
  return told ?? toFailure('INTERNAL', message)
}

const FIRST = '; first attempt: '

/** A guest that is gone by the second attempt says little; why the first one failed is the cause. */
function withFirst(failure: DumpFailure, earlier: string | undefined): string {
  const reason = reasonOfFailure(failure)
  if (!earlier || failure.code === 'CANCELLED') return reason
  const at = earlier.indexOf(FIRST)
  const first = at === -1 ? earlier : earlier.slice(at + FIRST.length)
  return first === reason ? reason : `${reason}${FIRST}${first}`
}
