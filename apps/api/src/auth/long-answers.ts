import type { FastifyReply, FastifyRequest } from 'fastify'
import { ApiProblem } from '../problem.ts'
import { whenClosed } from '../when-closed.ts'
import { askerOf } from './asker-of.ts'

/** Answers of one kind that one asker has open at the same time, where nothing else is said. */
const MOST_OF_ONE = 64

/** Answers of one kind that are sent for long. Each asker may have so many open, so that none takes those of all. */
export class LongAnswers {
  readonly #what: string
  readonly #mostOfOne: number
  readonly #open = new Map<string, number>()

  /** `what` they are, such as `downloads`. */
  constructor(what: string, mostOfOne = MOST_OF_ONE) {
    this.#what = what
    this.#mostOfOne = mostOfOne
  }

  /** Counts an answer as open until it is closed. Throws ApiProblem STREAMS_EXHAUSTED when who asks has too many. */
  begin(request: FastifyRequest, reply: FastifyReply): void {
    const asker = askerOf(request)
    const open = this.#open.get(asker) ?? 0
    if (open >= this.#mostOfOne) throw exhausted(`${this.#mostOfOne} open ${this.#what} of who asks`)
    this.#open.set(asker, open + 1)
    whenClosed(reply.raw, () => {
      const left = (this.#open.get(asker) ?? 0) - 1
      if (left > 0) this.#open.set(asker, left)
      else this.#open.delete(asker)
    })
  }
}

/** The refusal of one more than `most`. */
export function exhausted(most: string): ApiProblem {
  return new ApiProblem('STREAMS_EXHAUSTED', `expected fewer than ${most}`, { headers: { 'retry-after': '5' } })
}
