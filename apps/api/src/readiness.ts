import type { RedisRefusal } from '@ullage/redis-connection'
import type { FastifyBaseLogger } from 'fastify'
import type { Journal } from './journal.ts'
import type { KnownHosts } from './known-hosts.ts'
import { sharedAnswer } from './shared-answer.ts'

/** How often at most it is looked whether the journal can be written, in milliseconds. */
const LOOK_EVERY_MS = 1_000

export interface ReadinessParts {
  readonly journal: Journal
  readonly knownHosts: KnownHosts
  /** What Redis refuses this process, where it does. */
  readonly refusal?: (() => RedisRefusal['kind'] | undefined) | undefined
  readonly log: FastifyBaseLogger
}

/** `ok`, or of which kind the fault is. No address and no path: everybody may ask. */
export interface Readiness {
  readonly ready: boolean
  readonly journal: string
  readonly queue: string
}

/** Looks once a second at most whether dumps can be accepted. Why they cannot is logged, once until that changes. */
export function readinessOf({ journal, knownHosts, refusal, log }: ReadinessParts): () => Promise<Readiness> {
  const checkJournal = sharedAnswer(async () => journal.check(), {
    standsMs: LOOK_EVERY_MS,
    withinMs: LOOK_EVERY_MS,
    late: () => new Error('the journal did not answer in time'),
  })
  const journalFault = faultOf('the journal cannot be written', checkJournal, log)
  const redisFault = faultOf('redis does not answer', knownHosts, log)
  return async () => {
    const [ofJournal, unanswered] = await Promise.all([journalFault(), redisFault()])
    const refused = refusal?.()
    // Why it is refused is logged by the connection.
    const ofQueue = refused === undefined ? unanswered : `redis refuses this process (${refused})`
    return { ready: !ofJournal && !ofQueue, journal: ofJournal ?? 'ok', queue: ofQueue ?? 'ok' }
  }
}

/** `fault` while `check` rejects. Why it does is logged when it begins to, and that it is over when it ends. */
function faultOf(
  fault: string,
  check: () => Promise<unknown>,
  log: FastifyBaseLogger,
): () => Promise<string | undefined> {
  let isFaulty = false
  return async () => {
    try {
      await check()
      if (isFaulty) log.info(`it is over that ${fault}`)
      isFaulty = false
      return undefined
    } catch (error) {
      if (!isFaulty) log.warn({ reason: reasonOf(error) }, fault)
      isFaulty = true
      return fault
    }
  }
}

/** What an error says, and what lies behind it. Messages alone: an error of Redis's client has its command, with passwords. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
