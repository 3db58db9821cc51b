import type { DatabaseSync } from 'node:sqlite'
import { type DumpResource, dumpResource } from '@ullage/dump-job'
import { dumpRow } from './dump-record.ts'
import { linksOf, toResource } from './to-resource.ts'

/** Changes of one dump that are kept; a dump has some ten, of which progress is none. */
const MOST_PER_DUMP = 100

/** What a change can change: the rest stands with the dump, once. */
const changing = dumpResource.pick({
  state: true,
  revision: true,
  startedAt: true,
  finishedAt: true,
  attempts: true,
  cancelRequested: true,
  hostUnreachable: true,
  progress: true,
  failure: true,
  result: true,
})

const TABLE = `
CREATE TABLE IF NOT EXISTS dump_history (
  dump TEXT NOT NULL,
  revision INTEGER NOT NULL,
  resource TEXT NOT NULL,
  PRIMARY KEY (dump, revision)
) STRICT, WITHOUT ROWID;
`

/**
 * Dumps as they were after each change but of progress, in the journal's database: what a client missed whose event stream
 * broke. Takes part in the transaction that is open.
 */
export class DumpHistory {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
    database.exec(TABLE)
  }

  add(dump: DumpResource): void {
    this.#database
      .prepare('INSERT INTO dump_history (dump, revision, resource) VALUES (?, ?, ?)')
      .run(dump.id, dump.revision, JSON.stringify(changing.parse(dump)))
    this.#database
      .prepare(
        `DELETE FROM dump_history WHERE dump = :dump AND revision <= (
           SELECT revision FROM dump_history WHERE dump = :dump ORDER BY revision DESC LIMIT 1 OFFSET ${MOST_PER_DUMP})`,
      )
      .run({ dump: dump.id })
  }

  /** The dump after each change that came after `revision`, in order. */
  after(dump: string, revision: number): DumpResource[] {
    const row = this.#database.prepare('SELECT * FROM dumps WHERE id = ?').get(dump)
    if (!row) return []
    const now = toResource(dumpRow.parse(row))
    return this.#database
      .prepare('SELECT resource FROM dump_history WHERE dump = ? AND revision > ? ORDER BY revision')
      .all(dump, revision)
      .map(({ resource }) => {
        const then = { ...now, ...changing.parse(JSON.parse(String(resource))) }
        return { ...then, links: linksOf(then) }
      })
  }

  remove(dump: string): void {
    this.#database.prepare('DELETE FROM dump_history WHERE dump = ?').run(dump)
  }
}
