/**
 * What `promise` becomes, unless `signal` is aborted first: then its reason is thrown at once. What was asked goes on
 * meanwhile; `late` is given the answer that nobody waits for any more, to put away what it holds.
 */
export function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  late?: (answer: T) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let left = false
    const leave = () => {
      left = true
      reject(signal?.reason)
    }
    if (signal?.aborted) leave()
    else signal?.addEventListener('abort', leave, { once: true })
    promise
      .then((answer) => (left ? late?.(answer) : resolve(answer)), reject)
      .finally(() => signal?.removeEventListener('abort', leave))
  })
}
