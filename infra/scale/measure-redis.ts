import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { perJobAndSecond, plus, redisState, type RedisState, type RedisUse, scaled } from './redis-use.ts'
import { LocalFleet } from '../fleet/local-fleet.ts'

/** What was measured, and how much of it. */
export const measured = { hosts: 5, shortJobs: 200, longJobs: 5, longSeconds: 15 } as const
const EMPTY_MS = 10_000
/** Twice the time after which BullMQ looks for jobs of workers that died. */
const IDLE_MS = 60_000
const WAIT_MS = 15_000
/** Between the publication of an artifact and what its worker then tells Redis. */
const SETTLE_MS = 2_000
const LOOKS = 50
const POSTS_AT_ONCE = 8
const END_WITHIN_MS = 900_000

export interface RedisCosts {
  readonly version: string
  readonly guestsPerHost: number
  readonly idlePerHostSecond: RedisUse
  /** The API reads what a host said of itself, to list it: of one host, once. */
  readonly lookAtHost: RedisUse
  /** A dump accepted and queued, with what its guest's host says of itself. */
  readonly acceptPerJob: RedisUse
  /** The API looks at each dump that waits or runs every few seconds, and when a worker hints that it changed. */
  readonly lookAtDump: RedisUse
  /** By the worker, from the queue to the end, but for the seconds it runs. */
  readonly runPerJob: RedisUse
  readonly runPerJobSecond: RedisUse
  readonly bytesPerHost: number
  readonly clientsPerHost: number
  readonly clientBytesPerHost: number
  readonly bytesPerQueuedJob: number
  readonly bytesPerFinishedJob: number
}

const Dump = z.object({
  id: z.string(),
  state: z.string(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
})

/** Measures what Redis does for hosts and dumps: the project's API and workers, five hosts of them, and dumps by a stub. */
export async function measureRedis(signal: AbortSignal, say: (text: string) => void): Promise<RedisCosts> {
  await using fleet = await LocalFleet.start(signal)
  const { hosts, shortJobs, longJobs, longSeconds } = measured
  const now = (): Promise<RedisState> => redisState(fleet.redis.socketPath)
  const pause = (ms: number): Promise<void> => setTimeout(ms, undefined, { signal })

  say('Redis alone')
  await fleet.startApi()
  const first = await now()
  for (let i = 0; i < LOOKS; i++) await now()
  const asking = scaled(minus(await now(), first), 1 / (LOOKS + 1))
  const since = async (before: RedisState): Promise<RedisState> => {
    const use = minus(await now(), before)
    return { ...use, ...plus(use, asking, -1) }
  }
  const empty = await now()
  await pause(EMPTY_MS)
  const own = await since(empty)
  /** Without what Redis and an API with nothing to do take. */
  const net = (use: RedisState): RedisUse => plus(use, own, -use.atMs / own.atMs)

  say(`${hosts} hosts that have nothing to do`)
  const names = Array.from({ length: hosts }, (_, host) => `host-${host + 1}`)
  const short = names.flatMap((host) =>
    Array.from({ length: shortJobs / hosts }, (_, i) => ({ host, id: `${host}-guest-${i + 1}`, seconds: 0 })),
  )
  const long = names.map((host) => ({ host, id: `${host}-large-guest`, seconds: longSeconds }))
  const starts: RedisState[] = []
  for (const host of names) {
    const guests = [...short, ...long].filter((guest) => guest.host === host)
    await fleet.startStubHost(host, guests)
    starts.push(await now())
  }
  // The first one brings what all share.
  const [one, ready] = [starts[0] as RedisState, await now()]
  await pause(IDLE_MS)
  const idle = await since(ready)
  const idlePerHostSecond = scaled(net(idle), 1000 / idle.atMs / hosts)

  // Workers stand still, so that what is asked of Redis is asked by the API alone.
  fleet.signal('workers', 'SIGSTOP')
  const beforeLooks = await now()
  for (let i = 0; i < LOOKS; i++) await fleet.ask('/v1/hosts')
  const lookAtHost = scaled(net(await since(beforeLooks)), 1 / LOOKS / hosts)

  say(`${shortJobs} dumps queued`)
  const beforePosts = await now()
  const ids = await post(fleet, short)
  const posts = await since(beforePosts)
  const queued = await now()
  await pause(WAIT_MS)
  const waiting = await since(queued)
  const lookAtDump = scaled(net(waiting), 1 / waiting.hashReads)
  const accepting = plus(net(posts), lookAtDump, -posts.hashReads)
  const acceptPerJob = scaled(accepting, 1 / shortJobs)

  // And now the API stands still: what is asked is asked by workers. What it would have looked at, their hints tell.
  const runBatch = async (batch: readonly string[]) => {
    fleet.signal('api', 'SIGSTOP')
    const before = await now()
    fleet.signal('workers', 'SIGCONT')
    const deadline = performance.now() + END_WITHIN_MS
    while (!batch.every((id) => fleet.isPublished(id))) {
      if (performance.now() > deadline) throw new Error('the dumps by the stub did not end in time')
      await pause(500)
    }
    await pause(SETTLE_MS)
    const use = await since(before)
    const after = await now()
    fleet.signal('workers', 'SIGSTOP')
    fleet.signal('api', 'SIGCONT')
    const seconds = (await ranMs(fleet, batch, pause)) / 1000
    // Of the two queues of a host one is not asked while its dump runs.
    return { jobs: batch.length, seconds, use: plus(net(use), idlePerHostSecond, (-use.atMs / 2000) * hosts), after }
  }
  say(`${shortJobs} dumps made by the stub`)
  const a = await runBatch(ids)
  say(`${longJobs} dumps of ${longSeconds} s made by the stub`)
  fleet.signal('workers', 'SIGCONT')
  await reachable(fleet, pause)
  fleet.signal('workers', 'SIGSTOP')
  const b = await runBatch(await post(fleet, long))
  const { perJob, perSecond } = perJobAndSecond(a, b)

  return {
    version: ready.version,
    guestsPerHost: (short.length + long.length) / hosts,
    idlePerHostSecond,
    lookAtHost,
    acceptPerJob,
    lookAtDump,
    runPerJob: perJob,
    runPerJobSecond: perSecond,
    bytesPerHost: (ready.dataBytes - one.dataBytes) / (hosts - 1),
    clientsPerHost: (ready.clients - empty.clients) / hosts,
    clientBytesPerHost: (ready.clientBytes - empty.clientBytes) / hosts,
    bytesPerQueuedJob: (queued.dataBytes - beforePosts.dataBytes) / shortJobs,
    bytesPerFinishedJob: (a.after.dataBytes - beforePosts.dataBytes) / shortJobs,
  }
}

function minus(after: RedisState, before: RedisState): RedisState {
  const differences = { atMs: after.atMs - before.atMs, hashReads: after.hashReads - before.hashReads }
  return { ...after, ...plus(after, before, -1), ...differences }
}

/** Until the API takes every host for one that can be reached. */
async function reachable(fleet: LocalFleet, pause: (ms: number) => Promise<void>): Promise<void> {
  const Hosts = z.object({ items: z.array(z.object({ reachable: z.boolean() })) })
  while (!Hosts.parse(await fleet.ask('/v1/hosts')).items.every((host) => host.reachable)) await pause(200)
}

async function post(fleet: LocalFleet, guests: readonly { id: string }[]): Promise<string[]> {
  const ids: string[] = []
  for (let at = 0; at < guests.length; at += POSTS_AT_ONCE) {
    const some = guests.slice(at, at + POSTS_AT_ONCE).map(({ id }) => fleet.ask('/v1/dumps', { guest: id }))
    ids.push(...(await Promise.all(some)).map((dump) => Dump.parse(dump).id))
  }
  return ids
}

/** How long these dumps ran altogether, in milliseconds, once the API knows it. Throws when one did not succeed. */
async function ranMs(fleet: LocalFleet, ids: readonly string[], pause: (ms: number) => Promise<void>): Promise<number> {
  let sum = 0
  for (const id of ids) {
    for (;;) {
      const { state, startedAt, finishedAt } = Dump.parse(await fleet.ask(`/v1/dumps/${id}`))
      if (state === 'succeeded' && startedAt !== null && finishedAt !== null) {
        sum += Date.parse(finishedAt) - Date.parse(startedAt)
        break
      }
      if (state !== 'queued' && state !== 'running') throw new Error(`dump ${id} by the stub became ${state}`)
      await pause(200)
    }
  }
  return sum
}
