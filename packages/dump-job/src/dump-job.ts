import { z } from 'zod'
import { dumpOptions } from './dump-options.ts'
import { dumpId, guestId } from './names.ts'

/** What stands on a host's dump queue; the job's id is the dump's. */
export const dumpJob = z.strictObject({
  schema: z.literal('ullage.job/1'),
  dump: dumpId,
  guest: guestId,
  tenant: z.string().nullable().default(null),
  options: dumpOptions,
})
export type DumpJob = z.infer<typeof dumpJob>

/** What stands on a host's pages queue. */
export const pagesJob = z.strictObject({ schema: z.literal('ullage.pages-job/1'), guest: guestId })
export type PagesJob = z.infer<typeof pagesJob>

/** How often a dump is tried, and the milliseconds before the second attempt; they double from there. */
export const retries = { attempts: 3, backoffMs: 2_000 } as const

/** How long a finished job stays in the queue for the API to learn of, in seconds, should it be away. */
export const keepFinishedSeconds = 7 * 24 * 3600
