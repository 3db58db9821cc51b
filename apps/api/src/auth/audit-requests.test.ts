import { randomUUID } from 'node:crypto'
import { dumpOptions } from '@ullage/dump-job'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { expectDocumented, guest, host, setUp } from '../../test/api-under-test.ts'
import type { AuditEntry } from './audit-log.ts'
import { badToken } from './bearer-token.ts'
import type { Scope } from './principal.ts'

let api: Awaited<ReturnType<typeof setUp>>
let written: AuditEntry[]
let isFull: boolean
/** What the journal had when the line was written. */
let dumpsThen: number[]

/** Test double: a log that can be full. */
const audit = {
  async write(entry: AuditEntry) {
    if (isFull) throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
    dumpsThen.push(api.journal.list({ limit: 200 }).length)
    written.push(entry)
  },
}

/** Whoever says a tenant and scopes is let in by them. */
const bySaying = async (authorization: string | undefined) => {
  if (authorization === undefined) throw badToken('expected something')
  const [tenant = null, ...scopes] = authorization.split(' ')
  return { id: 'key:ci', tenant, scopes: new Set(scopes as Scope[]) }
}

beforeEach(async () => {
  ;[written, dumpsThen, isFull] = [[], [], false]
  api = await setUp({ authenticate: bySaying, audit, perMinute: 100, openPerMinute: 100 })
  api.fleet.now = [host('h1', [guest('web-1', 'acme'), guest('db-1', 'other')])]
})
afterEach(async () => {
  await expectDocumented(api)
  await api.tearDown()
})

const acme = { authorization: 'acme dumps:write dumps:read guests:read' }
const post = (guest: string, headers: Record<string, string> = acme) =>
  api.app.inject({ method: 'POST', url: '/v1/dumps', payload: { guest }, headers, remoteAddress: '192.0.2.7' })
const short = () => written.map(({ action, resource, outcome, code }) => [action, resource, outcome, code])

test('a change is written down before it is made, and again when it is', async () => {
  const { id } = (await post('web-1')).json()
  const common = { principal: 'key:ci', tenant: 'acme', action: 'POST /v1/dumps', code: null, address: '192.0.2.7' }
  const request = written[0]?.request
  expect(request).toMatch(/^[0-9a-f-]{36}$/)
  expect(written).toEqual([
    { ...common, resource: 'guest:web-1', outcome: 'allowed', request },
    { ...common, resource: `dump:${id}`, outcome: 'done', request },
  ])
  expect(dumpsThen).toEqual([0, 1])
  await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${id}`, headers: acme })
  expect(short().slice(2)).toEqual([
    ['DELETE /v1/dumps/:id', `dump:${id}`, 'allowed', null],
    ['DELETE /v1/dumps/:id', `dump:${id}`, 'done', null],
  ])
})

test('what is refused is written down with its reason', async () => {
  const foreign = api.journal.accept({
    id: randomUUID(),
    guest: 'db-1',
    host: 'h1',
    options: dumpOptions.parse({}),
    tenant: 'other',
  }).dump.id
  await post('web-1', {})
  await post('web-1', { authorization: 'acme dumps:read' })
  await post('db-1')
  await post('../x')
  await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${foreign}`, headers: acme })
  await api.app.inject({ url: `/v1/dumps/${foreign}/artifact`, headers: acme })
  await api.app.inject({ url: '/metrics', headers: acme })
  expect(short()).toEqual([
    ['POST /v1/dumps', null, 'refused', 'UNAUTHENTICATED'],
    ['POST /v1/dumps', null, 'refused', 'FORBIDDEN'],
    ['POST /v1/dumps', 'guest:db-1', 'allowed', null],
    ['POST /v1/dumps', 'guest:db-1', 'refused', 'GUEST_UNKNOWN'],
    ['POST /v1/dumps', 'guest:../x', 'refused', 'REQUEST_INVALID'],
    ['DELETE /v1/dumps/:id', `dump:${foreign}`, 'refused', 'DUMP_UNKNOWN'],
    ['GET /v1/dumps/:id/artifact', `dump:${foreign}`, 'refused', 'DUMP_UNKNOWN'],
    ['GET /metrics', null, 'refused', 'FORBIDDEN'],
  ])
  expect(written[0]).toMatchObject({ principal: null, tenant: null, address: '192.0.2.7' })
})

test('what is read is written down, and what is open to all is not', async () => {
  await api.app.inject({ url: '/v1/guests/web-1', headers: acme })
  for (const url of ['/healthz', '/readyz', '/docs', '/openapi.json', '/v1/nothing']) await api.app.inject(url)
  expect(short()).toEqual([['GET /v1/guests/:id', 'guest:web-1', 'allowed', null]])
})

test('a flood fills no disk', async () => {
  for (let each = 0; each < 120; each++) await post('web-1', {})
  expect(written).toHaveLength(100)
})

test('nothing is changed that cannot be written down; what reads is answered', async () => {
  const { id } = (await post('web-1')).json()
  isFull = true
  const refused = await post('web-1')
  expect(refused.json()).toMatchObject({ status: 503, code: 'AUDIT_UNWRITABLE' })
  const removal = await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${id}`, headers: acme })
  expect(removal.json()).toMatchObject({ status: 503, code: 'AUDIT_UNWRITABLE' })
  expect(api.journal.list({ limit: 9 })).toMatchObject([{ id, cancelRequested: false }])
  expect((await api.app.inject({ url: `/v1/dumps/${id}`, headers: acme })).statusCode).toBe(200)
  isFull = false
  expect((await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${id}`, headers: acme })).statusCode).toBe(200)
})
