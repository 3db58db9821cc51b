import type { Fleet, FleetHost } from './fleet.ts'
import { ApiProblem } from './problem.ts'
import { sharedAnswer } from './shared-answer.ts'

/** What stands of the hosts for so long, in milliseconds: a probe or a scrape needs no later word. */
const STANDS_MS = 1_000
/** How long it is waited for, in milliseconds. */
const WITHIN_MS = 2_000

/** The hosts as probes and scrapes are told them: however many ask, Redis is asked once a second. Throws ApiProblem QUEUE_UNREACHABLE. */
export type KnownHosts = () => Promise<readonly FleetHost[]>

export function knownHostsOf(fleet: Pick<Fleet, 'hosts'>): KnownHosts {
  const late = () => new ApiProblem('QUEUE_UNREACHABLE', 'redis did not answer in time')
  return sharedAnswer(() => fleet.hosts(), { standsMs: STANDS_MS, withinMs: WITHIN_MS, late })
}
