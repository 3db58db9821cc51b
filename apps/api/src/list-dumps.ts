import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import type { DumpState } from '@ullage/dump-job'

export interface ListDumps {
  readonly limit: number
  /** Only dumps accepted before the one with this number. */
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

/** Rows of the journal's dumps, the latest accepted first. */
export function listDumps(
  database: DatabaseSync,
  { limit, beforeSeq, guest, state, host, fromMs, beforeMs, tenant }: ListDumps,
): Record<string, SQLOutputValue>[] {
  // Only what is asked for stands in the question, so that an index can answer it.
  const wanted = (
    [
      ['seq < ?', beforeSeq],
      ['tenant = ?', tenant],
      ['guest = ?', guest],
      ['host = ?', host],
      ['state = ?', state],
      ['created_ms >= ?', fromMs],
      ['created_ms < ?', beforeMs],
    ] as const
  ).flatMap(([condition, value]) => (value === undefined ? [] : [{ condition, value }]))
  const where = wanted.length > 0 ? `WHERE ${wanted.map(({ condition }) => condition).join(' AND ')}` : ''
  return database
    .prepare(`SELECT * FROM dumps ${where} ORDER BY seq DESC LIMIT ?`)
    .all(...wanted.map(({ value }) => value), limit)
}
