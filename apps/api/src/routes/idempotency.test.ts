import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { dumpOptions } from '@ullage/dump-job'
import { expect, test } from 'vitest'
import { api } from '../../test/api-under-test.ts'
import { fingerprintOf } from '../idempotency-keys.ts'
import { Journal } from '../journal.ts'

const HOUR_MS = 3600 * 1000

const postWith = (key: string, payload: object) =>
  api.app.inject({ method: 'POST', url: '/v1/dumps', headers: { 'idempotency-key': key }, payload })

test('a request that is sent again with its key gets the dump of the first one', async () => {
  const first = await postWith('k1', { guest: 'web-1' })
  expect(first.headers).not.toHaveProperty('idempotent-replayed')
  const again = await postWith('k1', { level: 31, guest: 'web-1' })
  expect(again.statusCode).toBe(202)
  expect(again.headers).toMatchObject({ 'idempotent-replayed': 'true', location: first.headers.location })
  expect(again.json().id).toBe(first.json().id)
  expect(api.journal.counts().queued).toBe(1)
})

test('it gets it also when the dump is finished, or the host is away', async () => {
  const first = (await postWith('k1', { guest: 'web-1' })).json()
  api.queue.set(first.id, { state: 'failed', attempts: 1, finishedMs: 9_000 })
  await api.follow.look(first.id)
  api.fleet.now = []
  expect((await postWith('k1', { guest: 'web-1' })).json()).toMatchObject({ id: first.id, state: 'failed' })
  expect((await postWith('k2', { guest: 'web-1' })).json()).toMatchObject({ code: 'GUEST_UNKNOWN' })
})

test('a key that was used for another request is refused, and so is one whose dump was removed', async () => {
  const first = (await postWith('k1', { guest: 'web-1' })).json()
  const other = await postWith('k1', { guest: 'web-1', level: 1 })
  expect(other.statusCode).toBe(422)
  expect(other.json()).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' })
  await api.app.inject({ method: 'DELETE', url: first.links.self })
  await api.app.inject({ method: 'DELETE', url: first.links.self })
  expect((await postWith('k1', { guest: 'web-1' })).json()).toMatchObject({ status: 410, code: 'DUMP_REMOVED' })
  expect(api.journal.counts()).toMatchObject({ queued: 0, cancelled: 0 })
})

test('a refused request uses up no key', async () => {
  const { id } = (await api.post({ guest: 'web-1' })).json()
  expect((await postWith('k1', { guest: 'web-1' })).json()).toMatchObject({ code: 'DUMP_ACTIVE' })
  await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${id}` })
  const made = await postWith('k1', { guest: 'web-1' })
  expect(made.statusCode).toBe(202)
  expect(made.headers).not.toHaveProperty('idempotent-replayed')
})

test('requests with one key at the same time make one dump', async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => postWith('k1', { guest: 'web-1' })))
  expect(new Set(answers.map((answer) => `${answer.statusCode} ${answer.json().id}`)).size).toBe(1)
  expect(answers.filter((answer) => !answer.headers['idempotent-replayed'])).toHaveLength(1)
  expect(api.journal.counts().queued).toBe(1)
})

test.each(['', 'with space', 'x'.repeat(129), 'k\u00e4y'])('the key %j is refused', async (key) => {
  expect((await postWith(key, { guest: 'web-1' })).json()).toMatchObject({ status: 400, code: 'REQUEST_INVALID' })
})

const options = dumpOptions.parse({})
const ask = (guest: string) => ({ id: randomUUID(), guest, host: 'h1', options })
const keyed = (owner: string, key: string) => ({ owner, key, fingerprint: fingerprintOf({ key }) })

test('keys are of their owner, survive a restart, and are forgotten after 24 hours', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ullage-keys-'))
  const path = join(folder, 'journal.sqlite')
  const asked = ask('web-1')
  {
    using journal = new Journal(path)
    journal.accept(asked, { keyed: keyed('a', 'k1') })
  }
  {
    using journal = new Journal(path)
    expect(journal.keys.find(keyed('a', 'k1'))?.dump).toBe(asked.id)
    expect(journal.keys.find(keyed('b', 'k1'))).toBeUndefined()
    expect(journal.keys.find(keyed('a', 'k1'), Date.now() + 23.9 * HOUR_MS)).toBeDefined()
    expect(journal.keys.find(keyed('a', 'k1'), Date.now() + 24.1 * HOUR_MS)).toBeUndefined()
    journal.keys.remember(keyed('a', 'k1'), randomUUID(), Date.now() + 25 * HOUR_MS)
  }
  rmSync(folder, { recursive: true })
})

test('a dump whose key cannot be written down is not accepted', () => {
  using journal = new Journal(':memory:')
  journal.accept(ask('web-1'), { keyed: keyed('a', 'k1') })
  expect(() => journal.accept(ask('web-2'), { keyed: keyed('a', 'k1') })).toThrow(/UNIQUE/)
  expect(journal.activeOf('web-2')).toBeUndefined()
  expect(journal.accept(ask('web-2'), { keyed: keyed('a', 'k2') }).accepted).toBe(true)
})

test('an owner has room for 10,000 keys', async () => {
  using journal = new Journal(':memory:')
  for (let index = 0; index < 10_000; index += 1) journal.keys.remember(keyed('a', String(index)), 'x')
  expect(journal.keys.hasRoom('a')).toBe(false)
  expect(journal.keys.hasRoom('b')).toBe(true)
  expect(journal.keys.hasRoom('a', Date.now() + 25 * HOUR_MS)).toBe(true)
  api.journal.keys.hasRoom = () => false
  expect((await postWith('k1', { guest: 'web-1' })).json()).toMatchObject({ status: 429, code: 'IDEMPOTENCY_FULL' })
})
