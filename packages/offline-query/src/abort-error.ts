/** What an aborted call throws: named `AbortError` whatever reason was given to the signal, which is kept as the cause. */
export function abortError(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  if (reason instanceof Error && reason.name === 'AbortError') return reason
  const error = new Error('aborted', { cause: reason })
  error.name = 'AbortError'
  return error
}

/** Throws an error named `AbortError` when `signal` is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal)
}
