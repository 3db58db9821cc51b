/** Aborts `graceMs` after `signal` does, with its reason: for what is nearly done, and may hang. */
export function lateSignal(signal: AbortSignal, graceMs: number): AbortSignal {
  const late = new AbortController()
  const wait = () => void setTimeout(() => late.abort(signal.reason), graceMs).unref()
  if (signal.aborted) wait()
  else signal.addEventListener('abort', wait, { once: true })
  return late.signal
}
