import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dumpOptions } from '@ullage/dump-job'
import { afterEach, expect, test, vi } from 'vitest'
import { Journal } from './journal.ts'
import { migrations } from './journal-migrations.ts'
import { toResource } from './to-resource.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ullage-journal-'))
  folders.push(folder)
  return folder
}

const options = dumpOptions.parse({})
const artifact = {
  file: 'vmcore',
  bytes: 7,
  sha256: 'a'.repeat(64),
  format: 'kdump',
  compression: 'zstd',
  level: 31,
} as const
const result = { artifact, pausedMs: 1, alarm: false, warnings: [], totalMs: 1 }
const ask = (guest: string) => ({ id: randomUUID(), guest, host: 'h1', options })

test('what is accepted is there after the journal is opened again', () => {
  const path = join(newFolder(), 'state', 'journal.sqlite')
  const asked = ask('web-1')
  {
    using journal = new Journal(path)
    expect(journal.accept(asked).accepted).toBe(true)
  }
  using journal = new Journal(path)
  expect(journal.get(asked.id)).toMatchObject({ ...asked, state: 'queued', queued: false, revision: 1 })
})

test('a guest has one active dump; a second one gets the first', () => {
  using journal = new Journal(':memory:')
  const { dump: first } = journal.accept(ask('web-1'))
  expect(journal.accept(ask('web-1'))).toEqual({ accepted: false, dump: first })
  expect(journal.accept(ask('web-2')).accepted).toBe(true)
  journal.change(first.id, { state: 'failed' })
  expect(journal.accept(ask('web-1')).accepted).toBe(true)
})

test('a finished dump stays as it is, and every change has a revision of its own', () => {
  using journal = new Journal(':memory:')
  const { dump } = journal.accept(ask('web-1'))
  expect(journal.change(dump.id, { state: 'running', attempts: 1 })?.revision).toBe(2)
  expect(journal.change(dump.id, { state: 'running', attempts: 1 })).toBeUndefined()
  expect(journal.change(dump.id, { state: 'cancelled' })?.revision).toBe(3)
  expect(journal.change(dump.id, { state: 'running' })).toBeUndefined()
  expect(journal.get(dump.id)?.state).toBe('cancelled')
})

test('only finished dumps can be removed', () => {
  using journal = new Journal(':memory:')
  const { dump } = journal.accept(ask('web-1'))
  expect(journal.remove(dump.id)).toBe(false)
  journal.change(dump.id, { state: 'lost' })
  expect(journal.remove(dump.id)).toBe(true)
  expect(journal.get(dump.id)).toBeUndefined()
})

test('lists pages backwards from the latest, filtered by guest and state', () => {
  using journal = new Journal(':memory:')
  const ids = Array.from({ length: 5 }, (_, index) => journal.accept(ask(`g${index}`)).dump.id)
  const latest = journal.list({ limit: 2 })
  expect(latest.map(({ id }) => id)).toEqual([ids[4], ids[3]])
  expect(journal.list({ limit: 9, beforeSeq: latest[1]?.seq }).map(({ id }) => id)).toEqual([ids[2], ids[1], ids[0]])
  expect(journal.list({ limit: 9, guest: 'g1' }).map(({ id }) => id)).toEqual([ids[1]])
  journal.change(ids[0] ?? '', { state: 'failed' })
  expect(journal.list({ limit: 9, state: 'failed' }).map(({ id }) => id)).toEqual([ids[0]])
  expect(journal.counts()).toMatchObject({ queued: 4, failed: 1 })
})

test('a second API is kept off the same journal', () => {
  const path = join(newFolder(), 'journal.sqlite')
  using journal = new Journal(path)
  journal.accept(ask('web-1'))
  expect(() => new Journal(path)).toThrow(/locked/)
})

test('a journal of a newer version is refused', () => {
  const path = join(newFolder(), 'journal.sqlite')
  {
    using journal = new Journal(path)
    journal.check()
  }
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  const database = new DatabaseSync(path)
  database.exec('PRAGMA user_version = 99')
  database.close()
  expect(() => new Journal(path)).toThrow(/found 99/)
})

test('a journal of the first version is opened, with its dumps', () => {
  const path = join(newFolder(), 'journal.sqlite')
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  const old = new DatabaseSync(path)
  old.exec(`${migrations[0]} PRAGMA user_version = 1`)
  const asked = ask('web-1')
  old
    .prepare(
      `INSERT INTO dumps (id, guest, host, options, state, revision, queued, cancel_requested, attempts, created_ms)
       VALUES (?, 'web-1', 'h1', ?, 'running', 3, 1, 0, 1, 1000)`,
    )
    .run(asked.id, JSON.stringify(options))
  old.close()
  {
    using journal = new Journal(path)
    const { dump } = journal.accept(ask('web-1'))
    expect(dump).toMatchObject({ id: asked.id, state: 'running', tenant: null, requestedBy: null })
    expect(journal.accept({ ...ask('web-1'), tenant: 'acme', requestedBy: 'key:ci' }).accepted).toBe(true)
  }
  using journal = new Journal(path)
  expect(journal.list({ limit: 9 }).map(({ tenant, requestedBy }) => [tenant, requestedBy])).toEqual([
    ['acme', 'key:ci'],
    [null, null],
  ])
})

test('a journal of the second version is opened, with its totals and with what its streams can go on from', () => {
  const path = join(newFolder(), 'journal.sqlite')
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  const old = new DatabaseSync(path)
  old.exec(`${migrations[0]} ${migrations[1]} PRAGMA user_version = 2;
    CREATE INDEX by_guest ON dumps (guest, seq);
    CREATE INDEX by_host ON dumps (host, seq);
    CREATE TABLE dump_history (dump TEXT NOT NULL, revision INTEGER NOT NULL, resource TEXT NOT NULL,
      PRIMARY KEY (dump, revision)) STRICT, WITHOUT ROWID;`)
  const put = old.prepare(
    `INSERT INTO dumps (id, guest, host, options, state, revision, queued, cancel_requested, attempts, created_ms,
       finished_ms, result, tenant) VALUES (?, 'web-1', 'h1', ?, ?, 3, 1, 0, 1, ?, 5000, ?, 'acme')`,
  )
  const [kept, expired, failed, queued] = Array.from({ length: 4 }, () => randomUUID())
  const expiredAt = '2026-01-01T00:00:00.000Z'
  put.run(kept ?? '', JSON.stringify(options), 'succeeded', 1000, JSON.stringify(result))
  put.run(expired ?? '', JSON.stringify(options), 'succeeded', 2000, JSON.stringify({ ...result, expiredAt }))
  put.run(failed ?? '', JSON.stringify(options), 'failed', 3000, null)
  put.run(queued ?? '', JSON.stringify(options), 'queued', 4000, null)
  const whole = {
    id: kept,
    guest: 'web-1',
    host: 'h1',
    tenant: 'acme',
    state: 'running',
    revision: 2,
    options,
    createdAt: '1970-01-01T00:00:01.000Z',
    startedAt: null,
    finishedAt: null,
    attempts: 1,
    cancelRequested: false,
    hostUnreachable: false,
    progress: null,
    failure: null,
    result: null,
    links: { self: `/v1/dumps/${kept}`, events: `/v1/dumps/${kept}/events`, artifact: null, report: null },
  }
  old.prepare('INSERT INTO dump_history VALUES (?, 2, ?)').run(kept ?? '', JSON.stringify(whole))
  old.close()

  using journal = new Journal(path)
  expect(journal.counts()).toMatchObject({ queued: 1, running: 0, succeeded: 2, failed: 1 })
  expect(journal.usageOf('acme')).toEqual({ activeDumps: 1, storedBytes: 7 })
  expect(journal.list({ limit: 9, tenant: 'acme' }).map(({ id }) => id)).toEqual([queued, failed, expired, kept])
  expect(journal.kept.oldest(9).map(({ id }) => id)).toEqual([kept])
  expect(journal.kept.bare(9, Date.parse('2027-01-01'))).toMatchObject([
    { id: failed, ms: 5000 },
    { id: expired, ms: Date.parse(expiredAt) },
  ])
  expect(journal.history.after(kept ?? '', 1)).toEqual([whole])
})

test('totals go with every change and removal, whatever has been in the journal', () => {
  using journal = new Journal(':memory:')
  const { dump } = journal.accept({ ...ask('web-1'), tenant: 'acme' })
  const nobodys = journal.accept(ask('web-1')).dump
  expect(journal.accept({ ...ask('web-1'), tenant: 'acme' }).accepted).toBe(false)
  expect(journal.usageOf('acme')).toEqual({ activeDumps: 1, storedBytes: 0 })
  journal.change(dump.id, { state: 'running' })
  expect(journal.counts()).toMatchObject({ queued: 1, running: 1 })
  journal.change(dump.id, { state: 'succeeded', finishedMs: 1, result })
  journal.change(nobodys.id, { state: 'running' })
  journal.change(nobodys.id, { state: 'succeeded', finishedMs: 1, result })
  expect(journal.usageOf('acme')).toEqual({ activeDumps: 0, storedBytes: 7 })
  journal.change(dump.id, { result: { ...result, expiredAt: new Date().toISOString() } })
  expect(journal.usageOf('acme')).toEqual({ activeDumps: 0, storedBytes: 0 })
  expect(journal.counts()).toMatchObject({ queued: 0, running: 0, succeeded: 2 })
  journal.removeAll([dump.id, nobodys.id])
  expect(Object.values(journal.counts())).toEqual([0, 0, 0, 0, 0, 0])
})

test('a list is in the order of time, and whole, also where the clock was set back', () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    using journal = new Journal(':memory:')
    const at = (ms: number, guest: string) => {
      vi.setSystemTime(ms)
      return journal.accept({ ...ask(guest), tenant: 'acme' }).dump
    }
    const [late, first, second, third] = [at(9000, 'a'), at(1000, 'b'), at(1000, 'c'), at(2000, 'd')]
    const seen: number[] = []
    for (let beforeSeq: number | undefined; ; ) {
      const [dump] = journal.list({ limit: 1, beforeSeq })
      if (!dump) break
      beforeSeq = dump.seq
      seen.push(dump.seq)
    }
    expect(seen).toEqual([late, third, second, first].map(({ seq }) => seq))
    const guestsOf = (wanted: object) => journal.list({ limit: 9, ...wanted }).map(({ guest }) => guest)
    expect(guestsOf({ beforeMs: 9000 })).toEqual(['d', 'c', 'b'])
    expect(guestsOf({ fromMs: 2000, host: 'h1' })).toEqual(['a', 'd'])
    for (const filter of [{ host: 'h1' }, { tenant: 'acme' }, { state: 'queued' }, { host: 'h1', state: 'queued' }]) {
      expect(guestsOf({ ...filter, fromMs: 1000, beforeMs: 2000 }), `${JSON.stringify(filter)}`).toEqual(['c', 'b'])
      expect(guestsOf({ ...filter, tenant: 'other' })).toEqual([])
    }
  } finally {
    vi.useRealTimers()
  }
})

test('a guest is active, and dumps are listed, tenant by tenant', () => {
  using journal = new Journal(':memory:')
  const acme = journal.accept({ ...ask('web-1'), tenant: 'acme' })
  const other = journal.accept({ ...ask('web-1'), tenant: 'other' })
  const nobodys = journal.accept(ask('web-1'))
  expect([acme, other, nobodys].map(({ accepted }) => accepted)).toEqual([true, true, true])
  expect(journal.accept({ ...ask('web-1'), tenant: 'acme' })).toEqual({ accepted: false, dump: acme.dump })
  expect(journal.activeOf('web-1', 'other')?.id).toBe(other.dump.id)
  expect(journal.activeOf('web-1')?.id).toBe(nobodys.dump.id)
  expect(journal.list({ limit: 9, tenant: 'acme' }).map(({ id }) => id)).toEqual([acme.dump.id])
  expect(journal.list({ limit: 9 })).toHaveLength(3)
  expect(journal.isOf('acme', acme.dump.id)).toBe(true)
  for (const { dump } of [other, nobodys]) expect(journal.isOf('acme', dump.id)).toBe(false)
})

test('what a client missed is there after the journal is opened again, but not progress', () => {
  const path = join(newFolder(), 'journal.sqlite')
  const asked = ask('web-1')
  {
    using journal = new Journal(path)
    journal.accept(asked)
    journal.change(asked.id, { state: 'running', attempts: 1 })
    journal.change(asked.id, { progress: { stage: 'write', done: 1, total: 2 } })
    journal.change(asked.id, { state: 'failed' })
  }
  using journal = new Journal(path)
  const after = (revision: number) =>
    journal.history.after(asked.id, revision).map((dump) => [dump.revision, dump.state])
  expect(after(0)).toEqual([
    [1, 'queued'],
    [2, 'running'],
    [4, 'failed'],
  ])
  expect(after(2)).toEqual([[4, 'failed']])
  expect(journal.history.after(asked.id, 2)).toEqual([journal.get(asked.id)].map((dump) => dump && toResource(dump)))
  const cursor = journal.cursors.seal(7)
  journal[Symbol.dispose]()
  using again = new Journal(path)
  expect(again.cursors.open(cursor)).toBe(7)
})
