import { within } from './within.ts'

export interface SharedAnswerOptions {
  /** An answer, or that there was none, stands for so long, in milliseconds. */
  readonly standsMs: number
  /** Who asks waits no longer than this, in milliseconds. */
  readonly withinMs: number
  /** What is thrown then. */
  readonly late: () => Error
}

/**
 * `ask`, asked once for all who want to know at about the same time, and answered in bounded time. A question that is late is
 * still under way: no other one is asked until it has ended.
 */
export function sharedAnswer<T>(ask: () => Promise<T>, options: SharedAnswerOptions): () => Promise<T> {
  const { standsMs, withinMs, late } = options
  let asking: Promise<T> | undefined
  let untilMs = Number.POSITIVE_INFINITY
  return () => {
    if (asking === undefined || performance.now() >= untilMs) {
      untilMs = Number.POSITIVE_INFINITY
      asking = ask()
      const stand = () => {
        untilMs = performance.now() + standsMs
      }
      asking.then(stand, stand)
    }
    return within(asking, withinMs, late)
  }
}
