import { setImmediate } from 'node:timers/promises'
import type { PfnRange } from '@ullage/pages'
import { throwIfAborted } from './abort-error.ts'
import { checkFrames, checkSkip } from './check-frames.ts'
import type { BackingOptions, BackingRun } from './offline-query.ts'

/** Longest time without a turn of the event loop, without which no abort would ever be seen. */
const TURN_SECONDS = 0.02

/** Runs between two looks at the clock. */
const RUNS_A_LOOK = 64

/** Yields gapless runs of `within`, maximal or not, a bounded amount of work each. */
type Find = (within: PfnRange, skip: readonly PfnRange[]) => Iterable<BackingRun>

/**
 * `OfflineQuery.backing` for a backend that finds states synchronously. `find` throws what should come out; it is not called
 * for a `within` or `skip` that cannot be. Joins neighbours of one state, heeds the signal, and lets the event loop turn.
 */
export function answerBacking(options: BackingOptions, find: Find): AsyncIterableIterator<BackingRun> {
  return new BackingAnswer(options, find)
}

/** An iterator by hand: an async generator takes several times as long for a run, and guests have millions. */
class BackingAnswer implements AsyncIterableIterator<BackingRun> {
  readonly #options: BackingOptions
  readonly #find: Find
  #source: Iterator<BackingRun> | undefined
  /** A run that may yet grow. */
  #open: { start: number; count: number; state: BackingRun['state'] } | undefined
  #isDone = false
  #looks = 0
  #turnedAt = process.uptime()

  constructor(options: BackingOptions, find: Find) {
    this.#options = options
    this.#find = find
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<BackingRun>> {
    for (;;) {
      const result = this.#step()
      if (result) return result
      await setImmediate()
      this.#turnedAt = process.uptime()
    }
  }

  async return(): Promise<IteratorResult<BackingRun>> {
    this.#close()
    return { value: undefined, done: true }
  }

  /** The next run, or undefined when the event loop should turn first. */
  #step(): IteratorResult<BackingRun> | undefined {
    if (this.#isDone) return { value: undefined, done: true }
    try {
      return this.#advance()
    } catch (error) {
      this.#close()
      throw error
    }
  }

  #advance(): IteratorResult<BackingRun> | undefined {
    const { signal } = this.#options
    throwIfAborted(signal)
    this.#source ??= this.#ask()
    for (;;) {
      if (this.#isTurnDue()) return undefined
      const found = this.#source.next()
      throwIfAborted(signal)
      const open = this.#open
      if (found.done === true) {
        this.#isDone = true
        return open ? { value: open, done: false } : { value: undefined, done: true }
      }
      const { start, count, state } = found.value
      const isJoined = open?.state === state
      if (isJoined) open.count += count
      else this.#open = { start, count, state }
      if (open && !isJoined) return { value: open, done: false }
    }
  }

  #isTurnDue(): boolean {
    return ++this.#looks % RUNS_A_LOOK === 0 && process.uptime() - this.#turnedAt > TURN_SECONDS
  }

  #ask(): Iterator<BackingRun> {
    const { within, skip = [] } = this.#options
    checkFrames(within)
    checkSkip(skip)
    return this.#find(within, skip)[Symbol.iterator]()
  }

  #close(): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#source?.return?.()
  }
}
