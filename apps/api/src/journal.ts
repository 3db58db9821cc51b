import { dirname } from 'node:path'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import {
  activeStates,
  canBecome,
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
  isFinished,
  makeFolder,
} from '@ullage/dump-job'
import { z } from 'zod'

/** Which version of the tables this code reads and writes; `PRAGMA user_version` has that of the file. */
const VERSION = 1

const SCHEMA = `
CREATE TABLE dumps (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  guest TEXT NOT NULL,
  host TEXT NOT NULL,
  options TEXT NOT NULL,
  state TEXT NOT NULL,
  revision INTEGER NOT NULL,
  queued INTEGER NOT NULL,
  cancel_requested INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  started_ms INTEGER,
  finished_ms INTEGER,
  progress TEXT,
  failure TEXT,
  result TEXT
) STRICT;
CREATE UNIQUE INDEX one_active_dump_per_guest ON dumps (guest) WHERE state IN ('queued', 'running');
CREATE INDEX by_state ON dumps (state, seq);
PRAGMA user_version = ${VERSION};
`

const json = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .string()
    .nullable()
    .transform((text) => (text === null ? null : schema.parse(JSON.parse(text))))

const row = z
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
      hostUnreachable: false,
    }),
  )

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
  /** Whether it is active on a host that cannot be reached now. Of now alone: it is not written down. */
  readonly hostUnreachable: boolean
}

/** What can change of a record. A member that is left out stays. */
export type DumpChange = Partial<
  Pick<
    DumpRecord,
    'state' | 'queued' | 'cancelRequested' | 'attempts' | 'startedMs' | 'finishedMs' | 'progress' | 'failure' | 'result'
  >
>

export interface ListDumps {
  readonly limit: number
  /** Only dumps accepted before the one with this number. */
  readonly beforeSeq?: number | undefined
  readonly guest?: string | undefined
  readonly state?: DumpState | undefined
}

/**
 * Every dump that was accepted, and what became of it: an embedded database, so that history does not hang on the queue.
 * What `accept` has returned for is on disk. Calls are synchronous and short.
 */
export class Journal implements Disposable {
  readonly #database: DatabaseSync
  readonly #watchers = new Set<(dump: DumpRecord) => void>()
  #unreachable: ReadonlySet<string> = new Set()

  /**
   * Opens or makes the journal at `path`; its folder is made. Throws when another process has it open, or when a newer
   * version has written it. `:memory:` is for tests.
   */
  constructor(path: string) {
    if (path !== ':memory:') makeFolder(dirname(path))
    this.#database = new DatabaseSync(path, { timeout: 2_000 })
    try {
      this.#prepare(path)
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  #prepare(path: string): void {
    // EXCLUSIVE keeps a second API off the same journal for as long as this process lives.
    this.#database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    const version = z.int().parse(this.#database.prepare('PRAGMA user_version').get()?.user_version)
    if (version > VERSION) {
      throw new Error(`${path}: expected a journal of version ${VERSION} or older, found ${version}; run a newer API`)
    }
    if (version === 0) this.#database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`)
  }

  /**
   * Writes down a dump that nobody has been told of yet. Returns it, or the active dump that the guest has already.
   */
  accept(dump: { id: string; guest: string; host: string; options: DumpOptions }): {
    accepted: boolean
    dump: DumpRecord
  } {
    this.#database.exec('PRAGMA synchronous = FULL')
    const inserted = this.#database
      .prepare(
        `INSERT INTO dumps (id, guest, host, options, state, revision, queued, cancel_requested, attempts, created_ms)
         VALUES (?, ?, ?, ?, 'queued', 1, 0, 0, 0, ?)
         ON CONFLICT (guest) WHERE state IN ('queued', 'running') DO NOTHING`,
      )
      .run(dump.id, dump.guest, dump.host, JSON.stringify(dump.options), Date.now())
    const accepted = inserted.changes === 1
    const found = accepted ? this.get(dump.id) : this.activeOf(dump.guest)
    if (!found) throw new Error(`dump ${dump.id} was neither accepted nor held off by another one`)
    return { accepted, dump: found }
  }

  get(id: string): DumpRecord | undefined {
    return this.#first(this.#database.prepare('SELECT * FROM dumps WHERE id = ?').all(id))
  }

  activeOf(guest: string): DumpRecord | undefined {
    return this.#first(
      this.#database.prepare("SELECT * FROM dumps WHERE guest = ? AND state IN ('queued', 'running')").all(guest),
    )
  }

  /** Dumps that are queued or running, in order of acceptance. */
  active(): DumpRecord[] {
    const rows = this.#database.prepare("SELECT * FROM dumps WHERE state IN ('queued', 'running') ORDER BY seq").all()
    return rows.map((found) => this.#read(found))
  }

  /** The latest accepted first. */
  list({ limit, beforeSeq, guest, state }: ListDumps): DumpRecord[] {
    const rows = this.#database
      .prepare(
        `SELECT * FROM dumps
         WHERE seq < ifnull(:before, 9007199254740991) AND guest = ifnull(:guest, guest) AND state = ifnull(:state, state)
         ORDER BY seq DESC LIMIT :limit`,
      )
      .all({ before: beforeSeq ?? null, guest: guest ?? null, state: state ?? null, limit })
    return rows.map((found) => this.#read(found))
  }

  /** How many dumps are in each state. */
  counts(): Record<DumpState, number> {
    const counts = { queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0, lost: 0 }
    for (const found of this.#database.prepare('SELECT state, count(*) AS dumps FROM dumps GROUP BY state').all()) {
      counts[dumpState.parse(found.state)] = z.int().parse(found.dumps)
    }
    return counts
  }

  /**
   * Changes a dump and returns it as it then is; undefined when there is none, when nothing in `change` is new, or when
   * the state it is in does not lead to the state asked for: what is finished stays as it is.
   */
  change(id: string, change: DumpChange): DumpRecord | undefined {
    const before = this.get(id)
    if (!before) return undefined
    if (change.state !== undefined && change.state !== before.state && !canBecome(before.state, change.state)) {
      return undefined
    }
    const after = { ...before, ...change }
    if (JSON.stringify(after) === JSON.stringify(before)) return undefined
    // How far a dump is need not survive a power failure; waiting for the disk each second for each dump would cost much.
    const onlyProgress = JSON.stringify({ ...after, progress: before.progress }) === JSON.stringify(before)
    this.#database.exec(`PRAGMA synchronous = ${onlyProgress ? 'NORMAL' : 'FULL'}`)
    this.#database
      .prepare(
        `UPDATE dumps SET state = ?, revision = revision + 1, queued = ?, cancel_requested = ?, attempts = ?,
           started_ms = ?, finished_ms = ?, progress = ?, failure = ?, result = ? WHERE id = ?`,
      )
      .run(
        after.state,
        after.queued ? 1 : 0,
        after.cancelRequested ? 1 : 0,
        after.attempts,
        after.startedMs,
        after.finishedMs,
        after.progress && JSON.stringify(after.progress),
        after.failure && JSON.stringify(after.failure),
        after.result && JSON.stringify(after.result),
        id,
      )
    const changed = this.get(id)
    if (changed) for (const watcher of this.#watchers) watcher(changed)
    return changed
  }

  /** Calls `watcher` with every dump that changes, until the function that is returned is called. */
  watch(watcher: (dump: DumpRecord) => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** Says which hosts cannot be reached now. Active dumps of hosts of which that is new change, and are watched. */
  setUnreachable(hosts: ReadonlySet<string>): void {
    const before = this.#unreachable
    this.#unreachable = hosts
    for (const { id, host } of this.active()) {
      if (before.has(host) === hosts.has(host)) continue
      this.#database.prepare('UPDATE dumps SET revision = revision + 1 WHERE id = ?').run(id)
      const changed = this.get(id)
      if (changed) for (const watcher of this.#watchers) watcher(changed)
    }
  }

  #read(found: Record<string, SQLOutputValue>): DumpRecord {
    const dump = row.parse(found)
    return { ...dump, hostUnreachable: !isFinished(dump.state) && this.#unreachable.has(dump.host) }
  }

  #first(rows: Record<string, SQLOutputValue>[]): DumpRecord | undefined {
    return rows[0] === undefined ? undefined : this.#read(rows[0])
  }

  remove(id: string): boolean {
    const active = activeStates.map((state) => `'${state}'`).join(', ')
    return this.#database.prepare(`DELETE FROM dumps WHERE id = ? AND state NOT IN (${active})`).run(id).changes === 1
  }

  /** Throws when the database does not answer. */
  check(): void {
    this.#database.prepare('SELECT 1').get()
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close()
  }
}
