import { z } from 'zod'
import { dumpFailure } from './dump-failure.ts'
import { dumpOptions } from './dump-options.ts'
import { dumpProgress } from './dump-progress.ts'
import { dumpResult } from './dump-report.ts'
import { dumpState } from './dump-state.ts'
import { dumpId, guestId, hostId, tenantId } from './names.ts'

/** A dump, as GET /v1/dumps/{id} shows it. */
export const dumpResource = z
  .object({
    id: dumpId,
    guest: guestId,
    host: hostId,
    tenant: tenantId.nullable().default(null).describe('to whom the guest belonged when the dump was accepted'),
    state: dumpState,
    /** Grows with every change of this dump. */
    revision: z.int().min(1),
    options: dumpOptions,
    createdAt: z.iso.datetime(),
    startedAt: z.iso.datetime().nullable(),
    finishedAt: z.iso.datetime().nullable(),
    attempts: z.int().min(0).describe('how often a worker has begun it'),
    cancelRequested: z.boolean(),
    hostUnreachable: z
      .boolean()
      .describe('true while it is queued or running and its host has no worker that was heard of in the last 30 s'),
    progress: dumpProgress.nullable(),
    failure: dumpFailure.nullable().describe('why it failed, or why the last attempt did when another one follows'),
    result: dumpResult.nullable(),
    links: z.object({
      self: z.string(),
      events: z.string(),
      artifact: z.string().nullable(),
      report: z.string().nullable(),
    }),
  })
  .meta({ id: 'Dump' })
export type DumpResource = z.infer<typeof dumpResource>

/** What /v1/dumps/{id}/events sends. `state` has the whole dump, on connect and at each change; `progress` what moved. */
export const dumpEvent = z.discriminatedUnion('event', [
  z.object({ event: z.literal('state'), data: dumpResource }),
  z.object({ event: z.literal('progress'), data: z.object({ id: dumpId, revision: z.int(), progress: dumpProgress }) }),
])
export type DumpEvent = z.infer<typeof dumpEvent>
