import { unlessAborted } from '@ullage/dump-job'

/** A turn that was taken. */
export interface Turn {
  /** What it was taken for takes too long, and may never end: nobody is to wait for it. */
  markOverdue(): void
  /** Gives it to who has waited longest. */
  give(): void
}

/** Few turns, of which each is taken and given back. Nobody waits while all of them are overdue. */
export class Turns {
  readonly #most: number
  readonly #waiting = new Set<PromiseWithResolvers<void>>()
  #taken = 0
  #overdue = 0

  constructor(most: number) {
    this.#most = most
  }

  /** Throws what `silent` makes, at once, while all are overdue; and the reason of `signal`. */
  async take(silent: () => Error, signal: AbortSignal | undefined): Promise<Turn> {
    signal?.throwIfAborted()
    if (this.#taken < this.#most) this.#taken++
    else await this.#wait(silent, signal)
    let isOverdue = false
    return {
      markOverdue: () => {
        isOverdue = true
        if (++this.#overdue < this.#most) return
        for (const waiting of this.#waiting) waiting.reject(silent())
      },
      give: () => {
        if (isOverdue) this.#overdue--
        this.#giveNext()
      },
    }
  }

  async #wait(silent: () => Error, signal: AbortSignal | undefined): Promise<void> {
    if (this.#overdue === this.#most) throw silent()
    const turn = Promise.withResolvers<void>()
    this.#waiting.add(turn)
    try {
      await unlessAborted(turn.promise, signal, () => this.#giveNext())
    } finally {
      this.#waiting.delete(turn)
    }
  }

  #giveNext(): void {
    const [next] = this.#waiting
    if (!next) {
      this.#taken--
      return
    }
    this.#waiting.delete(next)
    next.resolve()
  }
}
