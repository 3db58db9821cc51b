import type { ServerResponse } from 'node:http'
import type { ZodInstance } from './api-parts.ts'

/**
 * By hand and no plugin: an API has no page but /docs, so every header has its strictest value, and routes that need another
 * one say so themselves.
 */
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'x-permitted-cross-domain-policies': 'none',
  'cache-control': 'no-store',
} as const
/** A year, in seconds. Only sent over TLS, where it counts. */
const STRICT_TRANSPORT = 'max-age=31536000'

/** On every answer, also on those that are written past Fastify, such as events. */
export function addSecurityHeaders(app: ZodInstance): void {
  app.addHook('onRequest', async (request, reply) => setSecurityHeaders(reply.raw, request.protocol === 'https'))
}

export function setSecurityHeaders(response: ServerResponse, isSecure: boolean): void {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
  if (isSecure) response.setHeader('strict-transport-security', STRICT_TRANSPORT)
}
