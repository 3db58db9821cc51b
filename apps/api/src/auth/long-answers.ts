import type { FastifyReply, FastifyRequest } from 'fastify'
import { ApiProblem } from '../problem.ts'
import { whenClosed } from '../when-closed.ts'
import { askerOf, tenantOf } from './asker-of.ts'

/** Answers of one kind that one asker has open at the same time, where nothing else is said. */
const MOST_OF_ONE = 64
/** Those of all principals of a tenant: a quarter of the event streams there may be. */
const MOST_OF_TENANT = 128

export interface LongAnswerLimits {
  readonly mostOfOne?: number | undefined
  readonly mostOfTenant?: number | undefined
}

/**
 * Answers of one kind that are sent for long. Each asker may have so many open, and so may all of a tenant, so that none takes
 * those of all.
 */
export class LongAnswers {
  readonly #what: string
  readonly #mostOfOne: number
  readonly #mostOfTenant: number
  readonly #open = new Map<string, number>()

  /** `what` they are, such as `downloads`. */
  constructor(what: string, { mostOfOne = MOST_OF_ONE, mostOfTenant = MOST_OF_TENANT }: LongAnswerLimits = {}) {
    this.#what = what
    this.#mostOfOne = mostOfOne
    this.#mostOfTenant = mostOfTenant
  }

  /** Counts an answer as open until it is closed. Throws ApiProblem STREAMS_EXHAUSTED when who asks, or its tenant, has too many. */
  begin(request: FastifyRequest, reply: FastifyReply): void {
    const [asker, tenant] = [askerOf(request), tenantOf(request)]
    if (this.#openOf(asker) >= this.#mostOfOne) throw exhausted(`${this.#mostOfOne} open ${this.#what} of who asks`)
    if (tenant !== undefined && this.#openOf(tenant) >= this.#mostOfTenant) {
      throw exhausted(`${this.#mostOfTenant} open ${this.#what} of a tenant`)
    }
    const origins = tenant === undefined ? [asker] : [asker, tenant]
    for (const origin of origins) this.#open.set(origin, this.#openOf(origin) + 1)
    whenClosed(reply.raw, () => {
      for (const origin of origins) {
        const left = this.#openOf(origin) - 1
        if (left > 0) this.#open.set(origin, left)
        else this.#open.delete(origin)
      }
    })
  }

  #openOf(origin: string): number {
    return this.#open.get(origin) ?? 0
  }
}

/** The refusal of one more than `most`. */
export function exhausted(most: string): ApiProblem {
  return new ApiProblem('STREAMS_EXHAUSTED', `expected fewer than ${most}`, { headers: { 'retry-after': '5' } })
}
