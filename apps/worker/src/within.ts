/**
 * Waits for `promise`, but no longer than `ms` milliseconds, and returns whether it ended in time. Throws what it throws until
 * then; what becomes of it later is nobody's concern.
 */
export async function within(ms: number, promise: PromiseLike<unknown>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), ms)
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
