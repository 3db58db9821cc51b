import { z } from 'zod'
import { dumpOptions } from './dump-options.ts'
import { dumpId, guestId, tenantId } from './names.ts'
import { traceparent } from './traceparent.ts'

/** What stands on a host's dump queue; the job's id is the dump's. */
export const dumpJob = z.strictObject({
  schema: z.literal('ullage.job/1'),
  dump: dumpId,
  guest: guestId,
  options: dumpOptions,
  /** To whom the guest belongs. The worker makes no dump of a guest that belongs to another one by then. */
  tenant: tenantId.nullable().default(null),
  /** The request that asked for the dump, where it was traced. */
  traceparent: traceparent.exactOptional(),
})
export type DumpJob = z.infer<typeof dumpJob>

/** What stands on a host's pages queue. */
export const pagesJob = z.strictObject({
  schema: z.literal('ullage.pages-job/1'),
  guest: guestId,
  tenant: tenantId.nullable().default(null),
})
export type PagesJob = z.infer<typeof pagesJob>

/** How often a dump is tried, and the milliseconds before the second attempt; they double from there. */
export const retries = { attempts: 3, backoffMs: 2_000 } as const

/** How long a finished job stays in the queue for the API to learn of, in seconds, should it be away. */
export const keepFinishedSeconds = 7 * 24 * 3600
