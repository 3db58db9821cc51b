import { z } from 'zod'
import { answerOf, refusals } from '../answers.ts'
import type { ApiParts, ZodInstance } from '../api-parts.ts'
import type { Metrics } from '../metrics.ts'

const readiness = z.object({ ready: z.boolean(), journal: z.string(), queue: z.string() }).meta({ id: 'Readiness' })

export function healthRoutes(app: ZodInstance, { journal, fleet, refusal }: ApiParts, metrics: Metrics): void {
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
        summary: 'Whether dumps can be accepted: the journal can be written and Redis answers',
        tags: ['service'],
        response: { 200: readiness, 503: readiness, ...refusals() },
      },
    },
    async (_request, reply) => {
      const wrongJournal = await reasonOf(async () => journal.check())
      const wrongQueue = refusal?.() ?? (await reasonOf(() => fleet.hosts()))
      const ready = !wrongJournal && !wrongQueue
      return reply.code(ready ? 200 : 503).send({ ready, journal: wrongJournal ?? 'ok', queue: wrongQueue ?? 'ok' })
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

async function reasonOf(check: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await check()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
