import type { FastifyBaseLogger } from 'fastify'
import type { Fleet } from './fleet.ts'
import type { Journal } from './journal.ts'
import { ApiProblem } from './problem.ts'

const LOOK_EVERY_MS = 2_000

/**
 * Looks whether the hosts of active dumps can be reached, and tells the journal. While Redis does not answer nothing is known
 * of hosts, and what was said last stands.
 */
export async function lookAtHosts(journal: Journal, fleet: Fleet): Promise<void> {
  const names = [...new Set(journal.active().map(({ host }) => host))]
  const hosts = await Promise.all(names.map(async (name) => [name, await fleet.host(name)] as const))
  journal.setUnreachable(new Set(hosts.filter(([, host]) => !host?.reachable).map(([name]) => name)))
}

/** Does that every few seconds, until disposed. */
export function watchHosts(journal: Journal, fleet: Fleet, log: FastifyBaseLogger): AsyncDisposable {
  let looking: Promise<void> | undefined
  const timer = setInterval(() => {
    looking ??= lookAtHosts(journal, fleet)
      .catch((error: unknown) => {
        const level = error instanceof ApiProblem ? 'debug' : 'error'
        log[level]({ err: error }, 'it could not be told which hosts can be reached')
      })
      .finally(() => {
        looking = undefined
      })
  }, LOOK_EVERY_MS)
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await looking
    },
  }
}
