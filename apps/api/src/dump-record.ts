import {
  dumpFailure,
  type DumpFailure,
  type DumpOptions,
  dumpOptions,
  dumpProgress,
  type DumpProgress,
  type DumpResult,
  dumpResult,
  type DumpState,
  dumpState,
} from '@ullage/dump-job'
import { z } from 'zod'

/** One accepted dump, as the journal has it. Times in milliseconds since 1970. */
export interface DumpRecord {
  /** Order of acceptance. */
  readonly seq: number
  readonly id: string
  readonly guest: string
  readonly host: string
  readonly options: DumpOptions
  readonly state: DumpState
  readonly revision: number
  /** Whether the queue is known to have it. */
  readonly queued: boolean
  readonly cancelRequested: boolean
  readonly attempts: number
  readonly createdMs: number
  readonly startedMs: number | null
  readonly finishedMs: number | null
  readonly progress: DumpProgress | null
  readonly failure: DumpFailure | null
  readonly result: DumpResult | null
  /** To whom the guest belonged when the dump was accepted. */
  readonly tenant: string | null
  /** Id of the principal who asked for it; null in records of a version that asked nobody. */
  readonly requestedBy: string | null
  /** Whether it is active on a host that cannot be reached now. Of now alone: it is not written down. */
  readonly hostUnreachable: boolean
}

const json = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .string()
    .nullable()
    .transform((text) => (text === null ? null : schema.parse(JSON.parse(text))))

/** A row of the journal's table of dumps, as a record. */
export const dumpRow = z
  .object({
    seq: z.int(),
    id: z.string(),
    guest: z.string(),
    host: z.string(),
    options: z.string().transform((text) => dumpOptions.parse(JSON.parse(text))),
    state: dumpState,
    revision: z.int(),
    queued: z.int(),
    cancel_requested: z.int(),
    attempts: z.int(),
    created_ms: z.int(),
    started_ms: z.int().nullable(),
    finished_ms: z.int().nullable(),
    progress: json(dumpProgress),
    failure: json(dumpFailure),
    result: json(dumpResult),
    tenant: z.string().nullable(),
    requested_by: z.string().nullable(),
  })
  .transform(
    (found): DumpRecord => ({
      seq: found.seq,
      id: found.id,
      guest: found.guest,
      host: found.host,
      options: found.options,
      state: found.state,
      revision: found.revision,
      queued: found.queued === 1,
      cancelRequested: found.cancel_requested === 1,
      attempts: found.attempts,
      createdMs: found.created_ms,
      startedMs: found.started_ms,
      finishedMs: found.finished_ms,
      progress: found.progress,
      failure: found.failure,
      result: found.result,
      tenant: found.tenant,
      requestedBy: found.requested_by,
      hostUnreachable: false,
    }),
  )
