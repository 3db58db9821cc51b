import { assumptions } from './assumptions.ts'
import type { RedisCosts } from './measure-redis.ts'
import { NO_USE, plus, type RedisUse } from './redis-use.ts'
import { type FleetOutcome, quantile, type Request, simulateFleet, type Stage } from './simulate-fleet.ts'
import { type GuestCost, simulateGuest, type UnitCosts } from './simulate-guest.ts'

const HOUR_MS = 3_600_000
const SEED = 1
/** The API looks at each dump that is not over so often, whatever it has heard (apps/api/src/start-api.ts). */
const LOOKS_EVERY_S = 5

export interface Scenario {
  readonly what: string
  readonly dumps: number
  readonly outcome: FleetOutcome
  readonly artifactBytes: number
  readonly waitP50Ms: number
  readonly waitP99Ms: number
  /** Of all of it, from the first request to the end of the last dump, the hosts' own noise included. */
  readonly redis: RedisUse
  readonly redisWhileAccepting: RedisUse
}

/** The fleet of the assumptions, when many of its guests are to be dumped. */
export function fleetScenarios(costs: UnitCosts, redis: RedisCosts): { dump: GuestCost; scenarios: Scenario[] } {
  const { fleet, writtenShare, memoryBytes } = assumptions
  const { hosts, guestsPerHost, guestGib: gib, level, jobs } = fleet
  const dump = simulateGuest({ gib, writtenShare: writtenShare[level], jobs, memoryBytes }, costs)
  const guests = hosts * guestsPerHost
  const chosen = shuffled(guests)
  const hostOf = (guest: number): number => Math.floor(guest / guestsPerHost)
  const incidents = fleet.incidentShares.map((share) => {
    const requests = chosen.slice(0, guests * share).map((guest) => ({ atMs: 0, host: hostOf(guest) }))
    return scenario(`${share * 100} % of all guests at once`, requests, dump, redis)
  })
  const steady = chosen
    .slice(0, guests * fleet.hourlyShare)
    .map((guest, i, all) => ({ atMs: (i * HOUR_MS) / all.length, host: hostOf(guest) }))
  return {
    dump,
    scenarios: [...incidents, scenario(`${fleet.hourlyShare * 100} % of all guests in an hour`, steady, dump, redis)],
  }
}

function scenario(what: string, requests: readonly Request[], dump: GuestCost, redis: RedisCosts): Scenario {
  const { hosts, guestsPerHost, concurrency, hostGbit, storageGbit } = assumptions.fleet
  const { artifactBytes: bytes } = dump
  const stages: Stage[] = [
    { ms: dump.totalMs - dump.writeMs - dump.verifyMs, bytes: 0 },
    { ms: dump.writeMs, bytes },
    { ms: dump.verifyMs, bytes },
  ]
  const outcome = simulateFleet(requests, {
    concurrency,
    storageRate: bytesPerMs(storageGbit),
    dumpRate: bytesPerMs(hostGbit) / concurrency,
    stages,
  })
  const dumps = requests.length
  // A dump's host says of itself more than the hosts that were measured, by as much as it has more guests.
  const { lookAtHost } = redis
  const more = lookAtHost.netBytes * (guestsPerHost / redis.guestsPerHost - 1)
  const accepting = plus(NO_USE, { ...redis.acceptPerJob, netBytes: redis.acceptPerJob.netBytes + more }, dumps)
  const ranSeconds = outcome.ranMs / 1000
  const hints = redis.runPerJob.hints * dumps + redis.runPerJobSecond.hints * ranSeconds
  const parts: [RedisUse, number][] = [
    [redis.runPerJob, dumps],
    [redis.runPerJobSecond, ranSeconds],
    [redis.lookAtDump, hints + (outcome.waitedMs / 1000 + ranSeconds) / LOOKS_EVERY_S],
    [redis.idlePerHostSecond, (hosts * outcome.endMs) / 1000],
  ]
  return {
    what,
    dumps,
    outcome,
    artifactBytes: dumps * bytes,
    waitP50Ms: quantile(outcome.waitsMs, 0.5),
    waitP99Ms: quantile(outcome.waitsMs, 0.99),
    redis: parts.reduce((sum, [use, times]) => plus(sum, use, times), accepting),
    redisWhileAccepting: accepting,
  }
}

export function bytesPerMs(gbit: number): number {
  return (gbit * 1e6) / 8
}

/** 0 to `count` - 1 in an order that is the same each time (mulberry32, Fisher-Yates). */
function shuffled(count: number): number[] {
  const items = Array.from({ length: count }, (_, i) => i)
  let state = SEED
  const random = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[items[i], items[j]] = [items[j] as number, items[i] as number]
  }
  return items
}
