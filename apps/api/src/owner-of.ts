import type { FastifyRequest } from 'fastify'

/** Whose Idempotency-Keys a request's are: its principal's, apart for each tenant that it speaks for. */
export function ownerOf({ principal }: Pick<FastifyRequest, 'principal'>): string {
  return JSON.stringify([principal.tenant, principal.id])
}
