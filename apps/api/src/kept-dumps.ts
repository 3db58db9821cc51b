import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { z } from 'zod'
import type { DumpRecord } from './dump-record.ts'

/** Where a page begins: after a dump of this time, in milliseconds since 1970, and number. */
export interface After {
  readonly ms: number
  readonly seq: number
}

const bareRow = z.object({ id: z.string(), seq: z.int(), ms: z.int() })
/** A finished dump without an artifact, and since when it has had none, in milliseconds since 1970. */
export type BareDump = z.output<typeof bareRow>

const FIRST: After = { ms: -1, seq: -1 }

/** Which dumps of the journal have an artifact, and which finished ones have none, page by page. */
export class KeptDumps {
  readonly #database: DatabaseSync
  readonly #read: (row: Record<string, SQLOutputValue>) => DumpRecord

  constructor(database: DatabaseSync, read: (row: Record<string, SQLOutputValue>) => DumpRecord) {
    this.#database = database
    this.#read = read
  }

  /** Dumps whose artifact should be there, in the order of when they finished: at most `limit` that did before `beforeMs`. */
  oldest(limit: number, beforeMs = Number.MAX_SAFE_INTEGER, after = FIRST): DumpRecord[] {
    return this.#database
      .prepare(
        `SELECT * FROM dumps INDEXED BY kept_by_age
         WHERE kept_bytes IS NOT NULL AND ifnull(finished_ms, 0) < ? AND (ifnull(finished_ms, 0), seq) > (?, ?)
         ORDER BY ifnull(finished_ms, 0), seq LIMIT ?`,
      )
      .all(beforeMs, after.ms, after.seq, limit)
      .map(this.#read)
  }

  /** Whether the artifact of this dump should be there. */
  has(id: string): boolean {
    return this.#database.prepare('SELECT 1 FROM dumps WHERE id = ? AND kept_bytes IS NOT NULL').get(id) !== undefined
  }

  /** Finished dumps that have had no artifact since before `beforeMs`, the longest first: at most `limit`. */
  bare(limit: number, beforeMs: number, after = FIRST): BareDump[] {
    return this.#database
      .prepare(
        `SELECT id, seq, bare_ms AS ms FROM dumps INDEXED BY bare_by_age
         WHERE bare_ms IS NOT NULL AND bare_ms < ? AND (bare_ms, seq) > (?, ?) ORDER BY bare_ms, seq LIMIT ?`,
      )
      .all(beforeMs, after.ms, after.seq, limit)
      .map((row) => bareRow.parse(row))
  }
}
