import { z } from 'zod'
import { answerOf, refusals } from '../answers.ts'
import type { ZodInstance } from '../api-parts.ts'
import type { Metrics } from '../metrics.ts'
import type { Readiness } from '../readiness.ts'

const readiness = z.object({ ready: z.boolean(), journal: z.string(), queue: z.string() }).meta({ id: 'Readiness' })

export interface HealthParts {
  /** Whether dumps can be accepted. */
  readonly readiness: () => Promise<Readiness>
  readonly metrics: Metrics
}

export function healthRoutes(app: ZodInstance, { readiness: look, metrics }: HealthParts): void {
  app.get(
    '/healthz',
    {
      logLevel: 'warn',
      schema: {
        summary: 'Whether the process lives',
        tags: ['service'],
        response: { 200: z.object({ ok: z.boolean() }), ...refusals() },
      },
    },
    async () => ({ ok: true }),
  )

  app.get(
    '/readyz',
    {
      logLevel: 'warn',
      schema: {
        summary: 'Whether dumps can be accepted: the journal can be written, and Redis answers and takes writes',
        description:
          'Looked at once a second at most. Answers within 2 s, also when Redis hangs: 503, with the kind of the fault. ' +
          "The service's log has the reason.",
        tags: ['service'],
        response: { 200: readiness, 503: readiness, ...refusals() },
      },
    },
    async (_request, reply) => {
      const found = await look()
      return reply.code(found.ready ? 200 : 503).send(found)
    },
  )

  app.get(
    '/metrics',
    {
      logLevel: 'warn',
      schema: {
        summary: 'Figures for Prometheus',
        tags: ['service'],
        response: { 200: answerOf('text/plain', 'the figures'), ...refusals() },
      },
    },
    async (_request, reply) => reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  )
}
