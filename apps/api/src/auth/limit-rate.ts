import fastifyRateLimit from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import type { ZodInstance } from '../api-parts.ts'
import { ApiProblem } from '../problem.ts'
import { askerOf, tenantOf } from './asker-of.ts'

const WINDOW_MS = 60_000
/** All principals of a tenant together may ask as often as so many of them. */
const SHARES_OF_TENANT = 4

/** Requests in a minute; undefined for any number. */
export interface RateLimits {
  /** Of one principal, or of one address where nobody is asked who they are; four times that of all principals of a tenant. */
  readonly perMinute?: number | undefined
  /** Of one address that does not say who it is: to each route open to all, and in all to others. */
  readonly openPerMinute?: number | undefined
}

/** Each counts a request, and throws ApiProblem RATE_LIMITED when there were too many of its kind within a minute. */
export interface RateLimit {
  /** Of who asks. */
  known(request: FastifyRequest): Promise<void>
  /** To a route that is open to all. */
  open(request: FastifyRequest): Promise<void>
  /** Without a token that is valid here, or to an address that there is not. */
  unknown(request: FastifyRequest): Promise<void>
}

/**
 * Counts are in memory: they begin anew with the process. What one address does takes nothing from another one's, and what it
 * does to one open route nothing from the other routes: guesses at tokens and readers of the document hold up no probe. To be
 * called before there are routes.
 */
export async function limitRate(app: ZodInstance, { perMinute, openPerMinute }: RateLimits): Promise<RateLimit> {
  await app.register(fastifyRateLimit, { global: false })
  const limit = (max: number | undefined, originOf: (request: FastifyRequest) => string, of = '') => {
    if (max === undefined) return async () => undefined
    const count = app.createRateLimit({ max, timeWindow: WINDOW_MS, keyGenerator: originOf })
    return async (request: FastifyRequest) => {
      const found = await count(request)
      if (found.isAllowed || !found.isExceeded) return
      throw new ApiProblem('RATE_LIMITED', `expected at most ${max} requests${of} in a minute, found more`, {
        headers: { 'retry-after': String(Math.max(1, found.ttlInSeconds)) },
      })
    }
  }
  const ofOne = limit(perMinute, askerOf)
  const ofTenant = limit(
    perMinute && perMinute * SHARES_OF_TENANT,
    (request) => tenantOf(request) ?? askerOf(request),
    ' of all principals of a tenant',
  )
  return {
    async known(request) {
      await ofOne(request)
      if (tenantOf(request) !== undefined) await ofTenant(request)
    },
    open: limit(openPerMinute, ({ routeOptions, ip }) => `open ${routeOptions.url} ${ip}`),
    unknown: limit(openPerMinute, ({ ip }) => `unknown ${ip}`),
  }
}
