import { z } from 'zod'

/**
 * Name of a guest as clients use it: 1 to 63 letters, digits, dots, dashes and underscores, starting with a letter or a
 * digit. Never a path: it holds no slash, and it cannot be `.` or `..`.
 */
export const guestId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    'expected a guest id: 1 to 63 letters, digits, ".", "_" or "-", the first a letter or a digit',
  )

/** Name of a tenant, to whom guests belong and as whom clients act: made like a guest's. */
export const tenantId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    'expected the id of a tenant: 1 to 63 letters, digits, ".", "_" or "-", the first a letter or a digit',
  )

/** Name of a host. Part of a queue's name, so it holds no colon. */
export const hostId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/,
    'expected a host id: 1 to 63 letters, digits, "." or "-", the first a letter or a digit',
  )

export const dumpId = z.uuid('expected the id of a dump, as POST /v1/dumps returned it')

/** What BullMQ puts before every key of a queue. */
export const queuePrefix = 'ullage-jobs'

/**
 * A host's id as it stands in keys. The braces are Redis Cluster's hash tag: all that a host's queues and its worker keep is
 * in one slot, so that scripts and commands may use several of these keys at once.
 */
function tagOf(host: string): string {
  return `{${hostId.parse(host)}}`
}

/** The queue of one host's dumps. */
export function dumpQueueName(host: string): string {
  return `dump-${tagOf(host)}`
}

/** The queue of one host's questions about its guests' pages: apart from dumps, so that a question never waits for one. */
export function pagesQueueName(host: string): string {
  return `pages-${tagOf(host)}`
}

/** Redis set of every host id ever announced. */
export const hostsKey = 'ullage:hosts'

/** Redis string: what a host said of itself last, a `HostAnnouncement` as JSON. Outlives the host's heartbeat. */
export function hostKey(host: string): string {
  return `ullage:host:${tagOf(host)}`
}

/** Redis string that expires when the host's worker stops beating. */
export function hostAliveKey(host: string): string {
  return `ullage:alive:${tagOf(host)}`
}

/** Redis string that exists while the host is to take no new dumps: since when, as ISO 8601. */
export function hostDrainKey(host: string): string {
  return `ullage:drain:${tagOf(host)}`
}

/** Redis string that nobody reads: that it is written tells the host's worker that Redis takes writes. */
export function hostWriteProbeKey(host: string): string {
  return `ullage:write-probe:${tagOf(host)}`
}

/** Redis hash: by class and tenant, the last turn that a dump got in the host's queue. */
export function hostTurnsKey(host: string): string {
  return `ullage:turns:${tagOf(host)}`
}

/**
 * Redis set: hosts that announce this guest, or did. An index: what counts is what each of them announces. Hosts add
 * themselves before they announce a guest, and leave after they stopped to.
 */
export function guestHostsKey(guest: string): string {
  return `ullage:guest:${guestId.parse(guest)}`
}

/** The same, of the hosts that announce it as this tenant's. */
export function tenantGuestHostsKey(tenant: string, guest: string): string {
  return `ullage:guest-of:${tenantId.parse(tenant)}:${guestId.parse(guest)}`
}

/** Redis string that exists when somebody asked to cancel this dump, whether or not its worker heard. */
export function cancelKey(dump: string): string {
  return `ullage:cancel:${dumpId.parse(dump)}`
}

/** Redis channel on which a host's worker is told to cancel: `CancelOrder` as JSON. */
export function controlChannel(host: string): string {
  return `ullage:control:${hostId.parse(host)}`
}

/** Redis channel on which workers say that a job changed: `JobChanged` as JSON. A hint; the queue holds the truth. */
export const changedChannel = 'ullage:changed'

export const cancelOrder = z.strictObject({ cancel: dumpId })
export type CancelOrder = z.infer<typeof cancelOrder>

export const jobChanged = z.strictObject({ job: z.string().min(1).max(100) })
export type JobChanged = z.infer<typeof jobChanged>

/** Milliseconds between two heartbeats of a worker, and after how many without one its host counts as out of reach. */
export const heartbeat = { everyMs: 5_000, goneAfterMs: 30_000 } as const
