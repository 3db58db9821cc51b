import { unlessAborted } from '@ullage/dump-job'
import { StoreError } from './store-error.ts'

/**
 * Calls of one folder that are under way at once. Each keeps one of libuv's threads, 4 unless told otherwise, until the file
 * system answers; names are looked up and logs are written by the same.
 */
const MOST_UNDER_WAY = 2
/** How long a file system may take for one call, in milliseconds; of a disk that works but is busy it is far more. */
export const ANSWER_WITHIN_MS = 10_000

export interface FolderCallsOptions {
  readonly mostUnderWay?: number | undefined
  readonly answerWithinMs?: number | undefined
}

export interface CallOptions<T> {
  /** Ends the waiting; its reason is thrown. */
  readonly signal?: AbortSignal | undefined
  /** Instead of the folder's own limit, in milliseconds. */
  readonly withinMs?: number | undefined
  /** Given an answer that came when nobody waited for it any more. Does not throw. */
  readonly late?: ((answer: T) => void) | undefined
}

/**
 * Calls of the file system that a folder is on, which may hang as a network's does: no call can be taken back, so few are
 * under way at once, and whoever waits for one waits no longer than its limit.
 */
export class FolderCalls {
  readonly #folder: string
  readonly #mostUnderWay: number
  readonly #answerWithinMs: number
  readonly #waiting = new Set<PromiseWithResolvers<void>>()
  #underWay = 0
  /** Of those under way, how many nobody waits for any more since they took too long. */
  #overdue = 0

  constructor(
    folder: string,
    { mostUnderWay = MOST_UNDER_WAY, answerWithinMs = ANSWER_WITHIN_MS }: FolderCallsOptions = {},
  ) {
    this.#folder = folder
    this.#mostUnderWay = mostUnderWay
    this.#answerWithinMs = answerWithinMs
  }

  /**
   * Makes the call when it is its turn. Throws StoreError STORE_UNAVAILABLE when it is not answered in time, and at once
   * while all calls that may be under way are overdue.
   */
  async ask<T>(call: () => Promise<T>, { signal, withinMs, late }: CallOptions<T> = {}): Promise<T> {
    signal?.throwIfAborted()
    await this.#turn(signal)
    return unlessAborted(this.#answer(call, withinMs ?? this.#answerWithinMs, late), signal, late)
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    if (this.#underWay < this.#mostUnderWay) {
      this.#underWay++
      return
    }
    if (this.#overdue === this.#mostUnderWay) throw this.#silent(this.#answerWithinMs)
    const turn = Promise.withResolvers<void>()
    this.#waiting.add(turn)
    try {
      await unlessAborted(turn.promise, signal, () => this.#giveTurn())
    } finally {
      this.#waiting.delete(turn)
    }
  }

  #answer<T>(call: () => Promise<T>, withinMs: number, late: CallOptions<T>['late']): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    let isOverdue = false
    const limit = setTimeout(() => {
      isOverdue = true
      this.#overdue++
      reject(this.#silent(withinMs))
      if (this.#overdue < this.#mostUnderWay) return
      for (const turn of this.#waiting) turn.reject(this.#silent(withinMs))
    }, withinMs)
    call()
      .then((answer) => (isOverdue ? late?.(answer) : resolve(answer)), reject)
      .finally(() => {
        clearTimeout(limit)
        if (isOverdue) this.#overdue--
        this.#giveTurn()
      })
    return promise
  }

  /** What a call had that has been answered goes to who has waited longest. */
  #giveTurn(): void {
    const [next] = this.#waiting
    if (!next) {
      this.#underWay--
      return
    }
    this.#waiting.delete(next)
    next.resolve()
  }

  #silent(withinMs: number): StoreError {
    return new StoreError('STORE_UNAVAILABLE', `the folder ${this.#folder} did not answer within ${withinMs / 1000} s`)
  }
}
