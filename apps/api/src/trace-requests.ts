import type { OpenSpan, Traces } from '@ullage/traces'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { ZodInstance } from './api-parts.ts'
import { nobody } from './auth/principal.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined where requests are not traced. */
    span: OpenSpan | undefined
  }
}

/** Probes and scrapes would drown what somebody asked for. */
const TRACED = /^\/v1\//

const named = z.object({ id: z.string().optional().catch(undefined) }).catch({})
const asked = z.object({ guest: z.string().optional().catch(undefined) }).catch({})

/**
 * Every request to a route below `/v1/` becomes a span, a child of the one that its `traceparent` header names. Of what a
 * client sent only ids that the route's schema has checked are said. To be called before all that refuses requests.
 */
export function traceRequests(app: ZodInstance, traces: Traces): void {
  app.decorateRequest('span')
  app.addHook('onRequest', async (request, reply) => {
    const { method, headers, routeOptions } = request
    const route = routeOptions.url
    if (route === undefined || !TRACED.test(route)) return
    const header = headers['traceparent']
    const span = traces.begin(`${method} ${route}`, {
      kind: 'server',
      parent: typeof header === 'string' ? header : undefined,
      attributes: { 'http.request.method': method, 'http.route': route, 'ullage.request': request.id },
    })
    request.span = span
    // Also when the client goes away, and when the answer is written past Fastify.
    reply.raw.once('close', () => {
      const { statusCode } = reply.raw
      // Not known yet when the client goes away at once.
      const { tenant } = request.principal ?? nobody
      span.set({
        'http.response.status_code': statusCode,
        'ullage.outcome': statusCode < 400 ? 'succeeded' : statusCode < 500 ? 'refused' : 'failed',
        'ullage.code': reply.problemCode,
        ...(tenant && { 'ullage.tenant': tenant }),
      })
      span.end(statusCode < 500 ? undefined : (reply.problemCode ?? String(statusCode)))
    })
  })
  app.addHook('preHandler', async (request) => request.span?.set(subjectOf(request)))
}

/** Which dump, guest or host a request is about. */
function subjectOf({ routeOptions: { url = '' }, params, body }: FastifyRequest) {
  const kind = /^\/v1\/([a-z]+)s\/:id/.exec(url)?.[1]
  const { id } = named.parse(params)
  const { guest } = asked.parse(body)
  return { ...(kind && { [`ullage.${kind}`]: id }), ...(guest !== undefined && { 'ullage.guest': guest }) }
}
