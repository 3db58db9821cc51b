import fastifyRateLimit from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import type { ZodInstance } from '../api-parts.ts'
import { ApiProblem } from '../problem.ts'
import { anonymous, nobody } from './principal.ts'

const WINDOW_MS = 60_000

/** Counts a request. Throws ApiProblem RATE_LIMITED when there were too many of the same origin within a minute. */
export type LimitRate = (request: FastifyRequest) => Promise<void>

/**
 * So many requests in a minute from each principal, and from each address that does not say who it is. Counts are in memory:
 * they begin anew with the process. To be called before there are routes.
 */
export async function limitRate(app: ZodInstance, perMinute: number): Promise<LimitRate> {
  await app.register(fastifyRateLimit, { global: false })
  const count = app.createRateLimit({ max: perMinute, timeWindow: WINDOW_MS, keyGenerator: originOf })
  return async (request) => {
    const found = await count(request)
    if (found.isAllowed || !found.isExceeded) return
    throw new ApiProblem('RATE_LIMITED', `expected at most ${perMinute} requests in a minute, found more`, {
      headers: { 'retry-after': String(Math.max(1, found.ttlInSeconds)) },
    })
  }
}

function originOf({ principal, ip }: FastifyRequest): string {
  return principal === nobody || principal === anonymous ? `address ${ip}` : `principal ${principal.id}`
}
