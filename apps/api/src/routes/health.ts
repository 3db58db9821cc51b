import { z } from 'zod'
import { answerOf, refusals } from '../answers.ts'
import type { ApiParts, ZodInstance } from '../api-parts.ts'
import type { Journal } from '../journal.ts'
import type { KnownHosts } from '../known-hosts.ts'
import type { Metrics } from '../metrics.ts'
import { sharedAnswer } from '../shared-answer.ts'

const readiness = z.object({ ready: z.boolean(), journal: z.string(), queue: z.string() }).meta({ id: 'Readiness' })

/** How often at most it is looked whether the journal can be written, in milliseconds. */
const LOOK_EVERY_MS = 1_000

export interface HealthParts {
  readonly journal: Journal
  readonly knownHosts: KnownHosts
  /** Why Redis lets nobody in, where it does not. */
  readonly refusal: ApiParts['refusal'] | undefined
  readonly metrics: Metrics
}

export function healthRoutes(app: ZodInstance, { journal, knownHosts, refusal, metrics }: HealthParts): void {
  const checkJournal = sharedAnswer(async () => journal.check(), {
    standsMs: LOOK_EVERY_MS,
    withinMs: LOOK_EVERY_MS,
    late: () => new Error('the journal did not answer in time'),
  })
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
        description: 'Looked at once a second at most. Answers within 2 s, also when Redis hangs: 503.',
        tags: ['service'],
        response: { 200: readiness, 503: readiness, ...refusals() },
      },
    },
    async (_request, reply) => {
      const [wrongJournal, unanswered] = await Promise.all([reasonOf(checkJournal), reasonOf(knownHosts)])
      const wrongQueue = refusal?.() ?? unanswered
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
