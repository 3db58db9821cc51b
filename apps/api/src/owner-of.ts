import type { FastifyRequest } from 'fastify'

/** Whose Idempotency-Keys a request's are. The API asks nobody who they are, so all clients are one owner. */
export function ownerOf(_request: FastifyRequest): string {
  return 'anyone'
}
