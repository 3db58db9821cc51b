import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DumpFailure, dumpOptions } from '@ullage/dump-job'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { expectDocumented, guest, host, reportOf, setUp } from '../../test/api-under-test.ts'
import { ApiProblem } from '../problem.ts'
import { badToken } from './bearer-token.ts'
import { routeAccess } from './route-access.ts'

/** Where something is on a host; no tenant is to read of it. */
const PLACE = '/srv/hosts own/web-1'
const failure: DumpFailure = { code: 'MEMORY_UNREADABLE', message: `frame 7 cannot be read at ${PLACE}.raw: mend it` }
const warnings = [{ code: 'BACKING_DIFFERS', text: `9 frames have memory by ${PLACE}.json` }]

let api: Awaited<ReturnType<typeof setUp>>
let failed: string
let published: string
let running: string
beforeEach(async () => {
  const as = new Map([
    ['tenant', 'acme'],
    ['operator', null],
  ])
  api = await setUp({
    authenticate: async (name = '') => {
      const tenant = as.get(name)
      if (tenant === undefined) throw badToken('expected a name')
      return { id: name, tenant, scopes: new Set(['admin'] as const) }
    },
  })
  const broken = { ...guest('odd', 'acme'), problem: { code: 'INVALID', message: `${PLACE}.json: expected JSON` } }
  api.fleet.now = [host('h1', [guest('web-1', 'acme'), guest('web-2', 'acme'), broken])]
  failed = dumpOf('web-2', { state: 'failed', failure, finishedMs: 2_000 })
  const report = { ...reportOf(3, 'a'.repeat(64)), warnings, later: `${PLACE}.later` }
  const result = { artifact: report.artifact, pausedMs: 5, alarm: false, warnings, totalMs: 50 }
  published = dumpOf('web-2', { state: 'succeeded', result, finishedMs: 2_000 })
  mkdirSync(join(api.folder, published))
  writeFileSync(join(api.folder, published, 'vmcore'), 'abc')
  writeFileSync(join(api.folder, published, 'report.json'), JSON.stringify(report))
  running = dumpOf('web-1', { failure })
  const job = { attempts: 2, startedMs: 1_000, finishedMs: null, progress: null, failure, result: null }
  api.queue.jobs.set(running, { state: 'running', ...job })
})
afterEach(async () => {
  await expectDocumented(api)
  await api.tearDown()
})

function dumpOf(guest: string, change: Parameters<typeof api.journal.change>[1]): string {
  const id = randomUUID()
  api.journal.accept({ id, guest, host: 'h1', options: dumpOptions.parse({}), tenant: 'acme' })
  api.journal.change(id, { state: 'running' })
  api.journal.change(id, change)
  return id
}

async function ask(who: string, method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) {
  const answer = await api.app.inject({ method, url, headers: { authorization: who }, ...(payload && { payload }) })
  return { status: answer.statusCode, body: answer.body }
}

const pages = {
  guest: { backend: 'hyperv', kernel: null, pageSize: 4096, later: PLACE },
  frames: { total: 0, byClass: {} },
}
const asks: [string, 'GET' | 'POST' | 'DELETE', () => string, object?][] = [
  ['the dumps', 'GET', () => '/v1/dumps'],
  ['a failed dump', 'GET', () => `/v1/dumps/${failed}`],
  ['its artifact', 'GET', () => `/v1/dumps/${failed}/artifact`],
  ['its report', 'GET', () => `/v1/dumps/${failed}/report`],
  ['its events', 'GET', () => `/v1/dumps/${failed}/events`],
  ['a report', 'GET', () => `/v1/dumps/${published}/report`],
  ['a dump with warnings', 'GET', () => `/v1/dumps/${published}`],
  ['a dump that is cancelled', 'DELETE', () => `/v1/dumps/${running}`],
  ['guests', 'GET', () => '/v1/guests'],
  ['one guest', 'GET', () => '/v1/guests/odd'],
  ['a guest that cannot be dumped', 'POST', () => '/v1/dumps', { guest: 'odd' }],
  ['pages', 'GET', () => '/v1/guests/web-1/pages'],
]

test.each(asks)('%s: an operator reads where on the host, a tenant does not', async (_what, method, url, payload) => {
  api.queue.pagesAnswer = { ...pages, warnings }
  const tenants = await ask('tenant', method, url(), payload)
  const operators = await ask('operator', method, url(), payload)
  expect(operators.status).toBe(tenants.status)
  expect(operators.body).toContain(PLACE)
  expect(tenants.body).not.toMatch(/srv|own\/web-1/)
})

test('what a tenant can use is there: code, sentence, frame, what to do', async () => {
  const { body } = await ask('tenant', 'GET', `/v1/dumps/${failed}`)
  expect(JSON.parse(body).failure).toEqual({
    code: 'MEMORY_UNREADABLE',
    message: expect.stringMatching(
      /^some of the guest's memory cannot be read: frame 7 cannot be read at …; post it again/,
    ),
  })
  const artifact = JSON.parse((await ask('tenant', 'GET', `/v1/dumps/${failed}/artifact`)).body)
  expect(artifact.detail).toBe(`dump ${failed} is failed`)
})

test('pages that could not be told of are refused with what a tenant is told of the failure', async () => {
  api.queue.pagesAnswer = new ApiProblem('PAGES_FAILED', failure.message, { members: { failure } })
  const answer = await ask('tenant', 'GET', '/v1/guests/web-1/pages')
  const { detail, failure: told } = JSON.parse(answer.body)
  expect(detail).toBe(told.message)
  expect(answer.body).not.toContain('srv')
  expect((await ask('operator', 'GET', '/v1/guests/web-1/pages')).body).toContain(PLACE)
})

test('changes that are followed are told like the dump itself', async () => {
  const events = ask('tenant', 'GET', `/v1/dumps/${running}/events`)
  await new Promise((resolve) => setImmediate(resolve))
  api.journal.change(running, { state: 'failed', finishedMs: 3_000, failure: { code: 'GONE', message: PLACE } })
  const { body } = await events
  expect(body).toContain('"code":"MEMORY_UNREADABLE"')
  expect(body).toContain('"code":"GONE"')
  expect(body).not.toContain('srv')
})

test('every route that tells of guests or dumps is asked above', () => {
  const told = Object.keys(routeAccess).filter((route) => /GET \/v1\/(dumps|guests)/.test(route))
  const asked = asks.map(([, method, url]) => `${method} ${url().replace(/\/(dumps|guests)\/[^/]+/, '/$1/:id')}`)
  expect(asked).toEqual(expect.arrayContaining(told))
})

test('the document of the API is the same for all', async () => {
  expect((await ask('tenant', 'GET', '/openapi.json')).body).toContain('id of the guest, as GET /v1/guests lists it')
})
