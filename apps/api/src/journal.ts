import { dirname } from 'node:path'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import {
  activeStates,
  canBecome,
  type DumpOptions,
  type DumpState,
  dumpState,
  isFinished,
  makeFolderSync,
} from '@ullage/dump-job'
import { z } from 'zod'
import { CursorSeal } from './cursor-seal.ts'
import { DumpHistory } from './dump-history.ts'
import { type DumpRecord, dumpRow } from './dump-record.ts'
import { IdempotencyKeys, type KeyedRequest } from './idempotency-keys.ts'
import { migrations } from './journal-migrations.ts'
import { KeptDumps } from './kept-dumps.ts'
import { type ListDumps, listDumps } from './list-dumps.ts'
import type { TenantUsage } from './tenant-quota.ts'
import { tenantUsage } from './tenant-usage.ts'
import { toResource } from './to-resource.ts'

/** A dump that is asked for. */
export interface AskedDump {
  readonly id: string
  readonly guest: string
  readonly host: string
  readonly options: DumpOptions
  readonly tenant?: string | null
  readonly requestedBy?: string | null
}

/** What can change of a record. A member that is left out stays. */
export type DumpChange = Partial<
  Pick<
    DumpRecord,
    'state' | 'queued' | 'cancelRequested' | 'attempts' | 'startedMs' | 'finishedMs' | 'progress' | 'failure' | 'result'
  >
>

/**
 * Every dump that was accepted, and what became of it: an embedded database, so that history does not hang on the queue.
 * What `accept` has returned for is on disk. Calls are synchronous and short.
 */
export class Journal implements Disposable {
  readonly #database: DatabaseSync
  readonly #watchers = new Set<(dump: DumpRecord) => void>()
  readonly keys: IdempotencyKeys
  readonly history: DumpHistory
  readonly cursors: CursorSeal
  readonly kept: KeptDumps
  #unreachable: ReadonlySet<string> = new Set()

  /**
   * Opens or makes the journal at `path`; its folder is made. Throws when another process has it open, or when a newer
   * version has written it. `:memory:` is for tests.
   */
  constructor(path: string) {
    if (path !== ':memory:') makeFolderSync(dirname(path))
    this.#database = new DatabaseSync(path, { timeout: 2_000 })
    try {
      this.#prepare(path)
      this.keys = new IdempotencyKeys(this.#database)
      this.history = new DumpHistory(this.#database)
      this.cursors = new CursorSeal(this.#database)
      this.kept = new KeptDumps(this.#database, (found) => this.#read(found))
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  #prepare(path: string): void {
    // EXCLUSIVE keeps a second API off the same journal for as long as this process lives.
    this.#database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    const version = z.int().parse(this.#database.prepare('PRAGMA user_version').get()?.user_version)
    const newest = migrations.length
    if (version > newest) {
      throw new Error(`${path}: expected a journal of version ${newest} or older, found ${version}; run a newer API`)
    }
    const missing = migrations.slice(version).join('')
    if (missing) this.#database.exec(`BEGIN IMMEDIATE; ${missing} PRAGMA user_version = ${newest}; COMMIT`)
  }

  /**
   * Writes down a dump that nobody has been told of yet, and with it the key of the request that asked for it. Returns it,
   * or the active dump that the guest has already. `allow`, left out where there is no quota, is told what its tenant has before
   * it; when it throws, nothing is written. One transaction has all of it.
   */
  accept(
    dump: AskedDump,
    { keyed, allow }: { keyed?: KeyedRequest | undefined; allow?: ((usage: TenantUsage) => void) | undefined } = {},
  ): { accepted: boolean; dump: DumpRecord } {
    const { tenant = null, requestedBy = null } = dump
    this.#database.exec('PRAGMA synchronous = FULL')
    return this.#atOnce(() => {
      if (allow && tenant !== null && !this.activeOf(dump.guest, tenant)) allow(this.usageOf(tenant))
      const outcome = this.#insert({ ...dump, tenant, requestedBy })
      if (outcome.accepted) {
        this.history.add(toResource(outcome.dump))
        if (keyed) this.keys.remember(keyed, outcome.dump.id)
      }
      return outcome
    })
  }

  /** What a tenant has. */
  usageOf(tenant: string): TenantUsage {
    return tenantUsage(this.#database, tenant)
  }

  #insert(dump: Required<AskedDump>): { accepted: boolean; dump: DumpRecord } {
    const { tenant, requestedBy } = dump
    const inserted = this.#database
      .prepare(
        `INSERT INTO dumps (id, guest, host, options, state, revision, queued, cancel_requested, attempts, created_ms,
           tenant, requested_by)
         VALUES (?, ?, ?, ?, 'queued', 1, 0, 0, 0, ?, ?, ?)
         ON CONFLICT (guest, ifnull(tenant, '')) WHERE state IN ('queued', 'running') DO NOTHING`,
      )
      .run(dump.id, dump.guest, dump.host, JSON.stringify(dump.options), Date.now(), tenant, requestedBy)
    const accepted = inserted.changes === 1
    const found = accepted ? this.get(dump.id) : this.activeOf(dump.guest, tenant)
    if (!found) throw new Error(`dump ${dump.id} was neither accepted nor held off by another one`)
    return { accepted, dump: found }
  }

  get(id: string): DumpRecord | undefined {
    return this.#first(this.#database.prepare('SELECT * FROM dumps WHERE id = ?').all(id))
  }

  /** Whether this dump is one of this tenant's. What is another's and what is not there take the same work. */
  isOf(tenant: string, id: string): boolean {
    return this.#database.prepare('SELECT 1 FROM dumps WHERE id = ? AND tenant = ?').get(id, tenant) !== undefined
  }

  /** The dump of this tenant's guest that is queued or running. */
  activeOf(guest: string, tenant: string | null = null): DumpRecord | undefined {
    const found = this.#database.prepare(
      `SELECT * FROM dumps WHERE guest = ? AND ifnull(tenant, '') = ? AND state IN ('queued', 'running')`,
    )
    return this.#first(found.all(guest, tenant ?? ''))
  }

  /** Dumps that are queued or running, in order of acceptance. */
  active(): DumpRecord[] {
    const rows = this.#database.prepare("SELECT * FROM dumps WHERE state IN ('queued', 'running') ORDER BY seq").all()
    return rows.map((found) => this.#read(found))
  }

  /** The latest accepted first. */
  list(options: ListDumps): DumpRecord[] {
    return listDumps(this.#database, options).map((found) => this.#read(found))
  }

  /** How many dumps are in each state. */
  counts(): Record<DumpState, number> {
    const counts = { queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0, lost: 0 }
    for (const found of this.#database
      .prepare('SELECT state, sum(dumps) AS dumps FROM dump_totals GROUP BY state')
      .all()) {
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
    const changed = this.#atOnce(() => {
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
      if (changed && !onlyProgress) this.history.add(toResource(changed))
      return changed
    })
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
      const changed = this.#atOnce(() => {
        this.#database.prepare('UPDATE dumps SET revision = revision + 1 WHERE id = ?').run(id)
        const found = this.get(id)
        if (found) this.history.add(toResource(found))
        return found
      })
      if (changed) for (const watcher of this.#watchers) watcher(changed)
    }
  }

  #read(found: Record<string, SQLOutputValue>): DumpRecord {
    const dump = dumpRow.parse(found)
    return { ...dump, hostUnreachable: !isFinished(dump.state) && this.#unreachable.has(dump.host) }
  }

  #first(rows: Record<string, SQLOutputValue>[]): DumpRecord | undefined {
    return rows[0] === undefined ? undefined : this.#read(rows[0])
  }

  remove(id: string): boolean {
    return this.#atOnce(() => this.#removeFinished(id))
  }

  /** Removes those that are finished, in one transaction. Returns how many. */
  removeAll(ids: readonly string[]): number {
    return this.#atOnce(() => ids.filter((id) => this.#removeFinished(id)).length)
  }

  #removeFinished(id: string): boolean {
    const active = activeStates.map((state) => `'${state}'`).join(', ')
    const sql = `DELETE FROM dumps WHERE id = ? AND state NOT IN (${active})`
    const removed = this.#database.prepare(sql).run(id).changes === 1
    if (removed) this.history.remove(id)
    return removed
  }

  #atOnce<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const outcome = work()
      this.#database.exec('COMMIT')
      return outcome
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  /** Throws when the database cannot be written: it is, with what it says already. */
  check(): void {
    this.#database.exec(`PRAGMA synchronous = NORMAL; PRAGMA user_version = ${migrations.length}`)
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close()
  }
}
