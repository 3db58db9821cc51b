import { unlessAborted } from '@ullage/dump-job'
import { StoreError } from './store-error.ts'
import { type Turn, Turns } from './turns.ts'

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
  /** Of a call that may take longer than the folder's own limit, in milliseconds: such calls leave a turn to the others. */
  readonly withinMs?: number | undefined
  /** Given an answer that came when nobody waited for it any more. Does not throw. */
  readonly late?: ((answer: T) => void) | undefined
}

/**
 * Calls of the file system that a folder is on, which may hang as a network's does: no call can be taken back, so few are
 * under way at once, fewer that may take long, and whoever waits for one waits no longer than its limit once it is made.
 */
export class FolderCalls {
  readonly #folder: string
  readonly #answerWithinMs: number
  readonly #turns: Turns
  /** Of calls that may take long, besides. */
  readonly #longTurns: Turns

  constructor(
    folder: string,
    { mostUnderWay = MOST_UNDER_WAY, answerWithinMs = ANSWER_WITHIN_MS }: FolderCallsOptions = {},
  ) {
    this.#folder = folder
    this.#answerWithinMs = answerWithinMs
    this.#turns = new Turns(mostUnderWay)
    this.#longTurns = new Turns(Math.max(1, mostUnderWay - 1))
  }

  /**
   * Makes the call when it is its turn. Throws StoreError STORE_UNAVAILABLE when it is not answered in time, and at once
   * while all calls that may be under way are overdue.
   */
  async ask<T>(call: () => Promise<T>, options: CallOptions<T> = {}): Promise<T> {
    const { signal, withinMs = this.#answerWithinMs, late } = options
    const silent = () => this.#silent(withinMs)
    const turns: Turn[] = []
    try {
      if (options.withinMs !== undefined) turns.push(await this.#longTurns.take(silent, signal))
      turns.push(await this.#turns.take(silent, signal))
    } catch (error) {
      for (const turn of turns) turn.give()
      throw error
    }
    return unlessAborted(this.#answer(call, { turns, withinMs, late }), signal, late)
  }

  #answer<T>(
    call: () => Promise<T>,
    { turns, withinMs, late }: { turns: readonly Turn[]; withinMs: number; late: CallOptions<T>['late'] },
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    let isOverdue = false
    const limit = setTimeout(() => {
      isOverdue = true
      reject(this.#silent(withinMs))
      for (const turn of turns) turn.markOverdue()
    }, withinMs)
    call()
      .then((answer) => (isOverdue ? late?.(answer) : resolve(answer)), reject)
      .finally(() => {
        clearTimeout(limit)
        for (const turn of turns) turn.give()
      })
    return promise
  }

  #silent(withinMs: number): StoreError {
    return new StoreError('STORE_UNAVAILABLE', `the folder ${this.#folder} did not answer within ${withinMs / 1000} s`)
  }
}
