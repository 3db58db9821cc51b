import type { RedisRefusal } from '@ullage/redis-connection'
import type { FastifyBaseLogger } from 'fastify'
import type { Journal } from './journal.ts'
import type { KnownHosts } from './known-hosts.ts'
import { sharedAnswer } from './shared-answer.ts'
import type { WriteProbe } from './write-probe.ts'

/** How often at most it is looked whether the journal can be written, in milliseconds. */
const LOOK_EVERY_MS = 1_000

export interface ReadinessParts {
  readonly journal: Journal
  readonly knownHosts: KnownHosts
  readonly writeProbe: WriteProbe
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
export function readinessOf({
  journal,
  knownHosts,
  writeProbe,
  refusal,
  log,
}: ReadinessParts): () => Promise<Readiness> {
  const checkJournal = sharedAnswer(async () => journal.check(), {
    standsMs: LOOK_EVERY_MS,
    withinMs: LOOK_EVERY_MS,
    late: () => new Error('the journal did not answer in time'),
  })
  const journalFault = faultOf('the journal cannot be written', async () => void (await checkJournal()), log)
  const checkRedis = async () => {
    const [code] = await Promise.all([writeProbe(), knownHosts()])
    return code === undefined ? undefined : `redis takes no writes (${code})`
  }
  const redisFault = faultOf('redis does not answer', checkRedis, log)
  return async () => {
    const [ofJournal, ofRedis] = await Promise.all([journalFault(), redisFault()])
    const refused = refusal?.()
    // Why it is refused is logged by the connection.
    const ofQueue = refused === undefined ? ofRedis : `redis refuses this process (${refused})`
    return { ready: !ofJournal && !ofQueue, journal: ofJournal ?? 'ok', queue: ofQueue ?? 'ok' }
  }
}

/**
 * What `check` finds at fault, and `fault` when it rejects; undefined when all is well. Each is logged when it begins, with the
 * reason where there is one, and so is the end.
 */
function faultOf(
  fault: string,
  check: () => Promise<string | undefined>,
  log: FastifyBaseLogger,
): () => Promise<string | undefined> {
  let said: string | undefined
  const say = (now: string | undefined, facts: object = {}) => {
    if (now !== undefined && now !== said) log.warn(facts, now)
    if (now === undefined && said !== undefined) log.info(`it is over that ${said}`)
    said = now
    return now
  }
  return () =>
    check().then(
      (found) => say(found),
      (error: unknown) => say(fault, { reason: reasonOf(error) }),
    )
}

/** What an error says, and what lies behind it. Messages alone: an error of Redis's client has its command, with passwords. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
