import {
  type GuestAnnouncement,
  heartbeat,
  hostAliveKey,
  type HostAnnouncement,
  hostAnnouncement,
  hostId,
  hostKey,
  hostsKey,
} from '@ullage/dump-job'
import type { RedisClient } from './connect-redis.ts'
import { ApiProblem } from './problem.ts'

export interface FleetHost extends HostAnnouncement {
  /** Whether its worker has beaten in the last 30 s. */
  readonly reachable: boolean
}

export interface FleetGuest extends GuestAnnouncement {
  readonly host: string
  readonly reachable: boolean
}

/** Which hosts there are, and which guests they have. Throws ApiProblem QUEUE_UNREACHABLE. */
export interface Fleet {
  /** By id. */
  hosts(): Promise<FleetHost[]>
}

/** Guests of all hosts, by id and host. A host that is out of reach keeps its guests. */
export function guestsOf(hosts: readonly FleetHost[]): FleetGuest[] {
  return hosts
    .flatMap(({ host, reachable, guests }) => guests.map((guest) => ({ ...guest, host, reachable })))
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
    try {
      const names = (await this.#redis.smembers(hostsKey)).filter((name) => hostId.safeParse(name).success).sort()
      const found = await Promise.all(names.map((name) => this.#host(name)))
      return found.filter((host) => host !== undefined)
    } catch (error) {
      if (error instanceof ApiProblem) throw error
      throw new ApiProblem('QUEUE_UNREACHABLE', 'redis did not answer in time', { cause: error })
    }
  }

  async #host(name: string): Promise<FleetHost | undefined> {
    const [text, alive] = await Promise.all([this.#redis.get(hostKey(name)), this.#redis.get(hostAliveKey(name))])
    if (text === null) return undefined
    const { data } = hostAnnouncement.safeParse(JSON.parse(text))
    return data && { ...data, reachable: alive === data.instance }
  }
}

/** Throws ApiProblem HOST_UNREACHABLE unless the guest's worker beats. */
export function requireReachable({ id, host, reachable }: FleetGuest): void {
  if (reachable) return
  const seconds = heartbeat.goneAfterMs / 1000
  const detail = `host ${host}, which has guest ${id}, has no worker that was heard of in the last ${seconds} s`
  throw new ApiProblem('HOST_UNREACHABLE', detail)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
