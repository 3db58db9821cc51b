import { z } from 'zod'
import { dumpFailure } from './dump-failure.ts'
import { guestId, hostId, tenantId } from './names.ts'

/** One guest, as its host's worker announces it. */
export const guestAnnouncement = z.object({
  id: guestId,
  /** Null when the descriptor could not be read; `problem` says why. */
  backend: z.string().nullable(),
  problem: dumpFailure.nullable(),
  tenant: tenantId.nullable().default(null).describe('to whom it belongs; null for nobody, or when that is not known'),
})
export type GuestAnnouncement = z.infer<typeof guestAnnouncement>

/** What a worker says of its host with every heartbeat. */
export const hostAnnouncement = z.object({
  host: hostId,
  /** Of this run of the worker; changes with every start. */
  instance: z.uuid(),
  startedAt: z.iso.datetime(),
  /** Dumps made at the same time. */
  concurrency: z.int().min(1),
  guests: z.array(guestAnnouncement),
})
export type HostAnnouncement = z.infer<typeof hostAnnouncement>
