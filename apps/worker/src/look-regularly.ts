export interface LookRegularlyOptions {
  /** Milliseconds between two looks; one that takes longer has no other one beside it. */
  readonly everyMs: number
  /** Told of a look that failed. */
  readonly failed: (error: unknown) => void
}

/** Looks again and again until disposed, which waits for no look: Redis may be away. */
export function lookRegularly(look: () => Promise<void>, { everyMs, failed }: LookRegularlyOptions): Disposable {
  let looking = false
  let ended = false
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    look()
      .catch((error: unknown) => {
        if (!ended) failed(error)
      })
      .finally(() => {
        looking = false
      })
  }, everyMs)
  return {
    [Symbol.dispose]() {
      ended = true
      clearInterval(timer)
    },
  }
}
