import {
  type GuestAnnouncement,
  guestHostsKey,
  heartbeat,
  hostAliveKey,
  type HostAnnouncement,
  hostAnnouncement,
  hostDrainKey,
  hostId,
  hostKey,
  hostsKey,
  tenantGuestHostsKey,
} from '@ullage/dump-job'
import type { RedisClient } from '@ullage/redis-connection'
import { ApiProblem } from './problem.ts'

export interface FleetHost extends HostAnnouncement {
  /** Whether its worker has beaten in the last 30 s. */
  readonly reachable: boolean
  /** Since when it takes no new dumps, ISO 8601, or null. */
  readonly drainingSince: string | null
}

export interface FleetGuest extends GuestAnnouncement {
  readonly host: string
  readonly reachable: boolean
  readonly drainingSince: string | null
}

/** Which hosts there are, and which guests they have. Throws ApiProblem QUEUE_UNREACHABLE. */
export interface Fleet {
  /** By id. Asks for each host. */
  hosts(): Promise<FleetHost[]>
  /**
   * The hosts that announce this guest, by id; of a tenant, those that announce it as that tenant's, so that a guest of another
   * one takes no more work than one that is not there. Asks for no others.
   */
  hostsOf(guest: string, tenant?: string | null): Promise<FleetHost[]>
  /** The host of this id, or undefined. */
  host(id: string): Promise<FleetHost | undefined>
  /** From now on, or no longer, the host takes no new dumps. Stays so when its worker starts again. */
  drain(id: string, draining: boolean): Promise<void>
}

/** Guests of all hosts, by id and host. A host that is out of reach keeps its guests. */
export function guestsOf(hosts: readonly FleetHost[]): FleetGuest[] {
  return hosts
    .flatMap(({ host, reachable, drainingSince, guests }) =>
      guests.map((guest) => ({ ...guest, host, reachable, drainingSince })),
    )
    .sort((a, b) => compare(a.id, b.id) || compare(a.host, b.host))
}

/**
 * The guest of this id, on the host that has it. Throws ApiProblem GUEST_UNKNOWN, or GUEST_AMBIGUOUS when two hosts that
 * can be reached announce it.
 */
export function findGuest(hosts: readonly FleetHost[], id: string): FleetGuest {
  const found = guestsOf(hosts).filter((guest) => guest.id === id)
  const reachable = found.filter((guest) => guest.reachable)
  if (reachable.length > 1) {
    const names = reachable.map(({ host }) => host).join(', ')
    throw new ApiProblem('GUEST_AMBIGUOUS', `guest ${id} is announced by ${names}`)
  }
  const guest = reachable[0] ?? found[0]
  if (!guest) throw new ApiProblem('GUEST_UNKNOWN', `no host announces a guest ${id}`)
  return guest
}

/** The fleet as workers announce it in Redis. */
export class RedisFleet implements Fleet {
  readonly #redis: RedisClient

  constructor(redis: RedisClient) {
    this.#redis = redis
  }

  async hosts(): Promise<FleetHost[]> {
    return this.#ask(async () => {
      const names = await this.#redis.smembers(hostsKey)
      const found = await this.#read(names)
      const known = new Set(found.map(({ host }) => host))
      const forgotten = names.filter((name) => !known.has(name))
      if (forgotten.length > 0) await this.#redis.srem(hostsKey, ...forgotten)
      return found
    })
  }

  async hostsOf(guest: string, tenant: string | null = null): Promise<FleetHost[]> {
    const key = tenant === null ? guestHostsKey(guest) : tenantGuestHostsKey(tenant, guest)
    const hosts = await this.#ask(async () => this.#read(await this.#redis.smembers(key)))
    // The index may name a host that has the guest no more, or not yet.
    return hosts.filter(({ guests }) => guests.some(({ id }) => id === guest))
  }

  async host(id: string): Promise<FleetHost | undefined> {
    return this.#ask(async () => (await this.#read([id]))[0])
  }

  async drain(id: string, draining: boolean): Promise<void> {
    await this.#ask(async () => {
      // A host that is drained again keeps its first date.
      if (draining) await this.#redis.set(hostDrainKey(id), new Date().toISOString(), 'NX')
      else await this.#redis.del(hostDrainKey(id))
    })
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question()
    } catch (error) {
      if (error instanceof ApiProblem) throw error
      throw new ApiProblem('QUEUE_UNREACHABLE', 'redis did not answer in time', { cause: error })
    }
  }

  /** What is known of these hosts, by id, with one command for each; hosts that are forgotten are left out. */
  async #read(names: readonly string[]): Promise<FleetHost[]> {
    const usable = names.filter((name) => hostId.safeParse(name).success).sort()
    const found = await Promise.all(usable.map((name) => this.#host(name)))
    return found.filter((host) => host !== undefined)
  }

  async #host(name: string): Promise<FleetHost | undefined> {
    const keys = [hostKey(name), hostAliveKey(name), hostDrainKey(name)]
    const [text = null, alive = null, drainingSince = null] = await this.#redis.mget(...keys)
    if (text === null) return undefined
    const { data } = hostAnnouncement.safeParse(JSON.parse(text))
    return data && { ...data, reachable: alive === data.instance, drainingSince }
  }
}

/** Throws ApiProblem HOST_UNREACHABLE unless the guest's worker beats. */
export function requireReachable({ id, host, reachable }: FleetGuest): void {
  if (reachable) return
  const seconds = heartbeat.goneAfterMs / 1000
  const detail = `host ${host}, which has guest ${id}, has no worker that was heard of in the last ${seconds} s`
  throw new ApiProblem('HOST_UNREACHABLE', detail)
}

/** Throws ApiProblem HOST_DRAINING while the guest's host takes no new dumps. */
export function requireUndrained({ id, host, drainingSince }: FleetGuest): void {
  if (drainingSince === null) return
  throw new ApiProblem(
    'HOST_DRAINING',
    `host ${host}, which has guest ${id}, takes no new dumps since ${drainingSince}`,
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
