import { z } from 'zod'
import { guestId } from './names.ts'

export const compression = z.enum(['zstd', 'lzo', 'snappy', 'zlib', 'none'])
export const dumpFormat = z.enum(['kdump', 'flattened', 'elf'])
export const trust = z.enum(['guest', 'both', 'host'])

/** The page tables of a Xen PV guest, which hold machine frames. */
export const pvTables = z.enum(['keep', 'rewrite', 'crash'])

/** Which dumps of a host go first. */
export const priority = z.enum(['high', 'normal', 'low'])
export type Priority = z.infer<typeof priority>

/** makedumpfile's -d: the sum of 1 zero pages, 2 cache, 4 private cache, 8 user, 16 free. */
export const dumpLevel = z.int().min(0).max(31)

/** How a dump is made. */
export const dumpOptions = z
  .strictObject({
    level: dumpLevel
      .default(31)
      .describe('what is left out, as in makedumpfile -d: 1 zero, 2 and 4 cache, 8 user, 16 free'),
    compression: compression.default('zstd').describe('what each stored page is compressed with'),
    format: dumpFormat.default('kdump'),
    trust: trust.default('guest').describe('whose word decides what is left out'),
    pvTables: pvTables
      .default('keep')
      .describe(
        "page tables of a Xen PV guest: kept with their machine frames, rewritten with the guest's own frames as drgn and makedumpfile need them, or that and the list which crash needs besides; other guests allow keep only",
      ),
    priority: priority
      .default('normal')
      .describe(
        "a waiting dump of a higher priority goes first; among equals, the tenants of a host's queue take turns",
      ),
    live: z.boolean().default(false).describe('true dumps without pausing the guest; the dump is then inconsistent'),
  })
  .meta({ id: 'DumpOptions' })
export type DumpOptions = z.output<typeof dumpOptions>

/** Body of POST /v1/dumps. Names a guest by id; holds no path and no address. */
export const dumpRequest = z
  .strictObject({
    guest: guestId.describe('id of the guest, as GET /v1/guests lists it'),
    ...dumpOptions.shape,
  })
  .meta({ id: 'DumpRequest' })
export type DumpRequest = z.output<typeof dumpRequest>
