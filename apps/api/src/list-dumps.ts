import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import type { DumpState } from '@ullage/dump-job'
import { z } from 'zod'

export interface ListDumps {
  readonly limit: number
  /** Only dumps that come after the one with this number, whether that is still there or not. */
  readonly beforeSeq?: number | undefined
  readonly guest?: string | undefined
  readonly state?: DumpState | undefined
  /** Only dumps of this tenant's guests. */
  readonly tenant?: string | undefined
  readonly host?: string | undefined
  /** Only dumps accepted then or later, in milliseconds since 1970. */
  readonly fromMs?: number | undefined
  /** Only dumps accepted before then, in milliseconds since 1970. */
  readonly beforeMs?: number | undefined
}

/** A walk through the index of the narrowest filter, in the order of the list. Without one that of times is taken. */
function indexFor({ guest, host, tenant, state }: ListDumps): string {
  if (guest !== undefined) return 'by_guest'
  if (host !== undefined) return state === undefined ? 'by_host' : 'by_host_and_state'
  if (tenant !== undefined) return state === undefined ? 'by_tenant' : 'by_tenant_and_state'
  return state === undefined ? 'by_time' : 'by_state'
}

/** When the dump with this number was accepted; the one before it, when it is gone; -1 when there is none of them. */
function timeOf(database: DatabaseSync, seq: number): number {
  const found = database.prepare('SELECT created_ms FROM dumps WHERE seq <= ? ORDER BY seq DESC LIMIT 1').get(seq)
  return found === undefined ? -1 : z.int().parse(found.created_ms)
}

/** Rows of the journal's dumps, the latest accepted first: by time, and of the same time by number. */
export function listDumps(database: DatabaseSync, options: ListDumps): Record<string, SQLOutputValue>[] {
  const { limit, beforeSeq, guest, state, host, fromMs, beforeMs, tenant } = options
  const lastMs = beforeSeq === undefined ? undefined : timeOf(database, beforeSeq)
  // Only what is asked for stands in the question, so that an index can answer it.
  const wanted = (
    [
      ['created_ms <= ?', lastMs],
      ['(created_ms < ? OR seq < ?)', lastMs, beforeSeq],
      ['tenant = ?', tenant],
      ['guest = ?', guest],
      ['host = ?', host],
      ['state = ?', state],
      ['created_ms >= ?', fromMs],
      ['created_ms < ?', beforeMs],
    ] as const
  ).flatMap(([condition, ...values]) => {
    const given = values.filter((value) => value !== undefined)
    return given.length === 0 ? [] : [{ condition, given }]
  })
  const where = wanted.length > 0 ? `WHERE ${wanted.map(({ condition }) => condition).join(' AND ')}` : ''
  return database
    .prepare(`SELECT * FROM dumps INDEXED BY ${indexFor(options)} ${where} ORDER BY created_ms DESC, seq DESC LIMIT ?`)
    .all(...wanted.flatMap(({ given }) => given), limit)
}
