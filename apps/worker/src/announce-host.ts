import {
  type GuestAnnouncement,
  guestHostsKey,
  heartbeat,
  type HostAnnouncement,
  hostAliveKey,
  hostKey,
  hostsKey,
  tenantGuestHostsKey,
} from '@ullage/dump-job'
import type { RedisClient } from '@ullage/redis-connection'
import type { Logger } from 'pino'
import type { GuestFolder } from './guest-folder.ts'
import { within } from './within.ts'

/** How often the folder is looked at: a guest that comes or goes is announced at once, not with the next heartbeat. */
const LOOK_EVERY_MS = 1_000
/** A heartbeat that is due for so long is logged as late, in milliseconds. */
const LATE_AFTER_MS = 5_000
/** How often all of a host's guests are put into the index again, should it have been lost, in milliseconds. */
const INDEX_EVERY_MS = 300_000
/** How long the start waits for the first heartbeat, in milliseconds; it is tried on meanwhile. */
const FIRST_WITHIN_MS = 5_000
/** How long the end waits for a heartbeat that is being written, and then for its farewell, each in milliseconds. */
const FAREWELL_WITHIN_MS = 1_000

export interface AnnounceHostOptions {
  readonly redis: RedisClient
  readonly host: string
  /** What this process calls itself in its heartbeats. */
  readonly instance: string
  readonly concurrency: number
  /** How long the host is remembered after its last heartbeat, in milliseconds. */
  readonly rememberedMs: number
  readonly folder: GuestFolder
  /** False while this worker takes no jobs: it then does not beat. */
  readonly consuming: () => boolean
  /** Told which guests there are with every look. */
  readonly onGuests?: (guests: ReadonlySet<string>) => void
  /** Told of each heartbeat that was written. */
  readonly onBeat?: () => void
  /** Told of each that could not be written. */
  readonly onNoBeat?: (error: unknown) => void
  readonly log: Logger
}

/**
 * Says with every heartbeat which guests this host has, until disposed; disposing it says that the host is gone, where Redis
 * hears of it within 2 s. Resolves after the first heartbeat, or when that has failed or takes longer than 5 s: it is tried each
 * second, whatever becomes of it. The folder is read anew each time.
 */
export async function announceHost(options: AnnounceHostOptions): Promise<AsyncDisposable> {
  const { redis, host, instance, concurrency, rememberedMs, folder, consuming, log } = options
  const self = { host, instance, startedAt: new Date().toISOString(), concurrency }
  let said = ''
  let saidAt = Number.NEGATIVE_INFINITY
  let saidText: string | undefined
  let failure: string | undefined
  let indexedAt = Number.NEGATIVE_INFINITY
  let ended = false
  const indexed = new Set<string>()
  const join = async (keys: readonly string[]) => {
    await Promise.all(keys.flatMap((key) => [redis.sadd(key, host), redis.pexpire(key, rememberedMs)]))
    for (const key of keys) indexed.add(key)
  }
  const beat = async () => {
    if (!consuming()) return
    const { guests, ignored } = await folder.list()
    if (ended) return
    options.onGuests?.(new Set(guests.map(({ id }) => id)))
    const now = JSON.stringify({ guests, ignored })
    if (now === said && performance.now() - saidAt < heartbeat.everyMs) return
    const ids = guests.map(({ id }) => id)
    const indexAll = performance.now() - indexedAt > INDEX_EVERY_MS
    const keys = guests.flatMap(indexKeysOf)
    await join(indexAll ? keys : keys.filter((key) => !indexed.has(key)))
    const text = JSON.stringify({ ...self, guests } satisfies HostAnnouncement)
    const before = await redis.set(hostKey(host), text, 'PX', rememberedMs, 'GET')
    // Somebody emptied Redis, or it came back with what it knew once.
    if (!indexAll && saidText !== undefined && before !== saidText) await join(keys)
    if (indexAll) indexedAt = performance.now()
    saidText = text
    await redis.sadd(hostsKey, host)
    await redis.set(hostAliveKey(host), self.instance, 'PX', heartbeat.goneAfterMs)
    const wanted = new Set(keys)
    for (const key of [...indexed].filter((key) => !wanted.has(key))) {
      await redis.srem(key, host)
      indexed.delete(key)
    }
    if (now !== said) log.info({ guests: ids, ignored }, 'guests announced')
    said = now
    saidAt = performance.now()
    if (failure !== undefined) log.info('the heartbeat is written again')
    failure = undefined
    options.onBeat?.()
  }
  let beating: Promise<void> | undefined
  const tryBeat = (): Promise<void> => {
    beating ??= beat()
      .catch((error: unknown) => {
        const reason = String(error)
        // It is tried every second: a fault that stays is one line.
        if (reason !== failure) log.error({ reason }, 'the heartbeat failed')
        failure = reason
        options.onNoBeat?.(error)
      })
      .finally(() => {
        beating = undefined
      })
    return beating
  }
  const begunAt = performance.now()
  await within(FIRST_WITHIN_MS, tryBeat())
  let lateSaid = false
  const timer = setInterval(() => {
    // One at a time: while Redis is away, heartbeats do not pile up.
    if (beating) {
      const sinceMs = Math.round(performance.now() - Math.max(saidAt, begunAt))
      if (!lateSaid && sinceMs > heartbeat.everyMs + LATE_AFTER_MS) {
        log.warn({ sinceMs }, 'the heartbeat is late')
        lateSaid = true
      }
      return
    }
    lateSaid = false
    void tryBeat()
  }, LOOK_EVERY_MS)
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      ended = true
      // Neither a Redis that is away nor a folder that hangs keeps the worker from its end.
      if (beating) await within(FAREWELL_WITHIN_MS, beating)
      const said = redis.del(hostAliveKey(host)).catch((error: unknown) => {
        log.warn({ reason: String(error) }, 'nobody was told that the host is gone')
      })
      await within(FAREWELL_WITHIN_MS, said)
    },
  }
}

/** Where it is written which hosts have this guest. */
function indexKeysOf({ id, tenant }: GuestAnnouncement): string[] {
  return [guestHostsKey(id), ...(tenant === null ? [] : [tenantGuestHostsKey(tenant, id)])]
}
