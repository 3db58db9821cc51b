import { setImmediate } from 'node:timers/promises'
import { throwIfAborted } from '@ullage/offline-query'

/** Longest time without a turn of the event loop, without which no abort would ever be seen. */
const TURN_MS = 20

/** Lets the event loop turn now and then, while a file is read. */
export class Turns {
  readonly #signal: AbortSignal | undefined
  #turned = performance.now()

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
  }

  /** To be called between two pieces of work. Throws AbortError. */
  async take(): Promise<void> {
    if (performance.now() - this.#turned > TURN_MS) {
      await setImmediate()
      this.#turned = performance.now()
    }
    throwIfAborted(this.#signal)
  }
}
