import { randomUUID } from 'node:crypto'
import { dumpOptions } from '@ullage/dump-job'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { expectDocumented, guest, host, reportOf, setUp } from '../test/api-under-test.ts'
import { Journal } from './journal.ts'
import { ApiProblem } from './problem.ts'
import { parseTenants, requireWithin, type TenantQuota } from './tenant-quota.ts'

let api: Awaited<ReturnType<typeof setUp>>
let quota: TenantQuota
beforeEach(async () => {
  quota = {}
  api = await setUp({}, { quotaOf: (tenant) => (tenant === 'acme' ? quota : {}) })
  const guests = Array.from({ length: 20 }, (_, index) => guest(`web-${index}`, 'acme'))
  api.fleet.now = [host('h1', [...guests, guest('db-1', 'other')])]
})
afterEach(async () => {
  await expectDocumented(api)
  await api.tearDown()
})

test('of requests that come at once no more are accepted than there is room for', async () => {
  quota = { concurrentDumps: 3 }
  const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => api.post({ guest: `web-${index}` })))
  expect(answers.filter(({ statusCode }) => statusCode === 202)).toHaveLength(3)
  for (const refused of answers.filter(({ statusCode }) => statusCode !== 202)) {
    expect(refused.json()).toMatchObject({
      status: 409,
      code: 'QUOTA_EXCEEDED',
      detail: expect.stringContaining('3 dumps are queued'),
    })
  }
  expect(api.journal.usageOf('acme')).toEqual({ activeDumps: 3, storedBytes: 0 })
  expect(api.queue.jobs.size).toBe(3)
  expect((await api.post({ guest: 'db-1' })).statusCode).toBe(202)
})

test('nothing is counted where there is no quota', async () => {
  const count = vi.spyOn(api.journal, 'usageOf')
  expect((await api.post({ guest: 'web-1' })).statusCode).toBe(202)
  expect(count).not.toHaveBeenCalled()
  quota = { storedBytes: 1 }
  expect((await api.post({ guest: 'web-2' })).statusCode).toBe(202)
  expect(count).toHaveBeenCalledOnce()
})

test('room that a dump leaves is taken by another one', async () => {
  quota = { concurrentDumps: 1 }
  const first = (await api.post({ guest: 'web-1' })).json()
  expect((await api.post({ guest: 'web-1' })).json()).toMatchObject({ code: 'DUMP_ACTIVE' })
  expect((await api.post({ guest: 'web-2' })).json()).toMatchObject({ code: 'QUOTA_EXCEEDED' })
  await api.app.inject({ method: 'DELETE', url: first.links.self })
  expect((await api.post({ guest: 'web-2' })).statusCode).toBe(202)
})

test('who has stored as much as it may deletes some of it first', async () => {
  quota = { storedBytes: 6 }
  const { id } = await api.publish(Buffer.from('vmcore'))
  expect(api.journal.usageOf('acme')).toEqual({ activeDumps: 0, storedBytes: 6 })
  expect((await api.post({ guest: 'web-2' })).json()).toMatchObject({ code: 'QUOTA_EXCEEDED' })
  quota = { storedBytes: 7 }
  expect((await api.post({ guest: 'web-3' })).statusCode).toBe(202)
  quota = { storedBytes: 6 }
  await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${id}` })
  expect((await api.post({ guest: 'web-2' })).statusCode).toBe(202)
})

test('a dump that is not allowed leaves nothing behind, and the next one is written', () => {
  using journal = new Journal(':memory:')
  const ask = (guest: string) => ({
    id: randomUUID(),
    guest,
    host: 'h1',
    options: dumpOptions.parse({}),
    tenant: 'acme',
  })
  const none = () => journal.accept(ask('web-1'), { allow: (usage) => requireWithin({ concurrentDumps: 0 }, usage) })
  expect(none).toThrow(ApiProblem)
  expect(journal.list({ limit: 9 })).toEqual([])
  const { dump } = journal.accept(ask('web-1'), { allow: (usage) => requireWithin({ concurrentDumps: 1 }, usage) })
  journal.change(dump.id, { state: 'running' })
  const { artifact } = reportOf(5, 'a'.repeat(64))
  const result = { artifact, pausedMs: 5, alarm: false, warnings: [], totalMs: 50 }
  journal.change(dump.id, { state: 'succeeded', result })
  expect(journal.usageOf('acme')).toEqual({ activeDumps: 0, storedBytes: 5 })
  expect(journal.usageOf('other')).toEqual({ activeDumps: 0, storedBytes: 0 })
})

test('a tenants file names tenants and what they may have', () => {
  expect(parseTenants('{"acme":{"concurrentDumps":2},"b":{"storedBytes":1}}').get('acme')).toEqual({
    concurrentDumps: 2,
  })
  for (const wrong of ['{"acme":{"dumps":2}}', '{"a b":{}}', '{"acme":{"storedBytes":-1}}', '[]']) {
    expect(() => parseTenants(wrong)).toThrow(/acme|a b|expected record/)
  }
})
