/** Throws an error named `AbortError`, whatever reason was given to `signal`, which is kept as the cause. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return
  const reason: unknown = signal.reason
  if (reason instanceof Error && reason.name === 'AbortError') throw reason
  const error = new Error('aborted', { cause: reason })
  error.name = 'AbortError'
  throw error
}
