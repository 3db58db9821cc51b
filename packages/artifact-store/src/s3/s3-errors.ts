import { StoreError } from '../store-error.ts'

/** Answers that another try may change, by what they are called; besides all of 5xx but 501. */
const PASSING_NAMES = new Set([
  'RequestTimeout',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'RequestTimeTooSkewed',
])
const PASSING_STATUSES = new Set([408, 429])

/** The status of an answer; undefined when there was none. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined
  const { $metadata } = error
  const has = typeof $metadata === 'object' && $metadata !== null && 'httpStatusCode' in $metadata
  return has && typeof $metadata.httpStatusCode === 'number' ? $metadata.httpStatusCode : undefined
}

/** Whether another try may help: there was no answer, or one that says so. */
export function isPassing(error: unknown): boolean {
  const status = statusOf(error)
  if (error instanceof Error && PASSING_NAMES.has(error.name)) return true
  if (status === undefined) return true
  return PASSING_STATUSES.has(status) || (status >= 500 && status !== 501)
}

export function isNotFound(error: unknown): boolean {
  return statusOf(error) === 404
}

/** The store's answer as an error of ours. `what`: what was tried, as in "part 3 could not be uploaded". */
export function toStoreError(error: unknown, what: string): StoreError {
  if (error instanceof StoreError) return error
  const status = statusOf(error)
  const name = error instanceof Error ? error.name : 'Error'
  const reason = error instanceof Error ? error.message : String(error)
  const answer = status === undefined ? `no answer: ${reason}` : `${status} ${name}: ${reason}`
  return isPassing(error)
    ? new StoreError('STORE_UNAVAILABLE', `${what} (${answer}); it was tried again in vain`, { cause: error })
    : new StoreError('STORE_REFUSED', `${what} (${answer})`, { cause: error })
}
