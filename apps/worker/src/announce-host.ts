import { randomUUID } from 'node:crypto'
import { heartbeat, type HostAnnouncement, hostAliveKey, hostKey, hostsKey } from '@ullage/dump-job'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { GuestFolder } from './guest-folder.ts'

/** How often the folder is looked at: a guest that comes or goes is announced at once, not with the next heartbeat. */
const LOOK_EVERY_MS = 1_000
/** A heartbeat that is due for so long is logged as late, in milliseconds. */
const LATE_AFTER_MS = 5_000
/** How long a host is remembered after its last heartbeat, in milliseconds: 30 days. */
const REMEMBERED_MS = 30 * 24 * 3600 * 1000

export interface AnnounceHostOptions {
  readonly redis: Redis
  readonly host: string
  readonly concurrency: number
  readonly folder: GuestFolder
  /** False while this worker takes no jobs: it then does not beat. */
  readonly consuming: () => boolean
  /** Told which guests there are with every look. */
  readonly onGuests?: (guests: ReadonlySet<string>) => void
  readonly log: Logger
}

/**
 * Says with every heartbeat which guests this host has, until disposed; disposing it says that the host is gone. Resolves
 * after the first heartbeat. The folder is read anew each time.
 */
export async function announceHost(options: AnnounceHostOptions): Promise<AsyncDisposable> {
  const { redis, host, concurrency, folder, consuming, log } = options
  const self = { host, instance: randomUUID(), startedAt: new Date().toISOString(), concurrency }
  let said = ''
  let saidAt = Number.NEGATIVE_INFINITY
  const beat = async () => {
    if (!consuming()) return
    const { guests, ignored } = await folder.list()
    options.onGuests?.(new Set(guests.map(({ id }) => id)))
    const now = JSON.stringify({ guests, ignored })
    if (now === said && performance.now() - saidAt < heartbeat.everyMs) return
    const announcement: HostAnnouncement = { ...self, guests }
    await redis.set(hostKey(host), JSON.stringify(announcement), 'PX', REMEMBERED_MS)
    await redis.sadd(hostsKey, host)
    await redis.set(hostAliveKey(host), self.instance, 'PX', heartbeat.goneAfterMs)
    if (now !== said) log.info({ guests: guests.map(({ id }) => id), ignored }, 'guests announced')
    said = now
    saidAt = performance.now()
  }
  await beat()
  let idle = true
  let lateSaid = false
  let beating: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    // One at a time: while Redis is away, heartbeats do not pile up.
    if (!idle) {
      if (!lateSaid && performance.now() - saidAt > heartbeat.everyMs + LATE_AFTER_MS) {
        log.warn({ sinceMs: Math.round(performance.now() - saidAt) }, 'the heartbeat is late')
        lateSaid = true
      }
      return
    }
    idle = false
    lateSaid = false
    beating = beat()
      .catch((error: unknown) => log.error({ reason: String(error) }, 'the heartbeat failed'))
      .finally(() => {
        idle = true
      })
  }, LOOK_EVERY_MS)
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      idle = false
      await beating
      await redis.del(hostAliveKey(host))
    },
  }
}
