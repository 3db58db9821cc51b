import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dumpResource } from '@ullage/dump-job'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildApi } from './build-api.ts'
import type { Fleet, FleetHost } from './fleet.ts'
import { FollowJobs } from './follow-jobs.ts'
import type { JobQueue, ObservedJob } from './job-queue.ts'
import { Journal } from './journal.ts'
import { ApiProblem } from './problem.ts'
import { PublishedDumps } from './published-dumps.ts'

/** Test double: a queue in memory whose jobs do what a test says. */
class QueueDouble implements JobQueue {
  readonly jobs = new Map<string, ObservedJob>()
  readonly cancelled: string[] = []
  away = false
  pagesAnswer: unknown = undefined

  async add(dump: { id: string }) {
    this.#answer()
    const queued = { attempts: 0, startedMs: null, finishedMs: null, progress: null, failure: null, result: null }
    if (!this.jobs.has(dump.id)) this.jobs.set(dump.id, { state: 'queued', ...queued })
  }
  async observe(dump: { id: string }) {
    this.#answer()
    return this.jobs.get(dump.id)
  }
  async cancel(dump: { id: string }) {
    this.#answer()
    this.cancelled.push(dump.id)
    const queued = this.jobs.get(dump.id)?.state === 'queued'
    if (queued) this.jobs.delete(dump.id)
    return queued
  }
  async forget(dump: { id: string }) {
    this.jobs.delete(dump.id)
  }
  async pages() {
    if (this.pagesAnswer instanceof Error) throw this.pagesAnswer
    return this.pagesAnswer
  }
  set(id: string, change: Partial<ObservedJob>) {
    const job = this.jobs.get(id)
    if (!job) throw new Error(`the queue double has no job ${id}`)
    this.jobs.set(id, { ...job, ...change })
  }
  #answer() {
    if (this.away) throw new ApiProblem('QUEUE_UNREACHABLE', 'the double is away')
  }
}

const guest = (id: string) => ({ id, backend: 'virtio-balloon', problem: null })
const host = (name: string, guests: FleetHost['guests'], reachable = true): FleetHost => ({
  host: name,
  instance: randomUUID(),
  startedAt: new Date().toISOString(),
  concurrency: 1,
  guests,
  reachable,
})

/** Test double: a fleet that a test describes. */
class FleetDouble implements Fleet {
  now: FleetHost[] = [
    host('h1', [
      guest('web-1'),
      guest('web-2'),
      { ...guest('odd'), problem: { code: 'INVALID', message: 'no socket' } },
    ]),
    host('h2', [guest('db-1'), guest('twice')], false),
    host('h3', [guest('moved')]),
    host('h4', [guest('moved')]),
  ]
  async hosts() {
    return this.now
  }
}

async function setUp() {
  const folder = mkdtempSync(join(tmpdir(), 'ullage-api-'))
  const journal = new Journal(':memory:')
  const queue = new QueueDouble()
  const fleet = new FleetDouble()
  const log = pino({ level: 'silent' })
  const published = new PublishedDumps(folder)
  const follow = new FollowJobs({ journal, queue, published, log })
  const app = await buildApi({ journal, queue, fleet, follow, published }, log)
  const answers: { method: string; route: string; status: number; mediaType: string | undefined }[] = []
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url
    const type = reply.getHeader('content-type')
    const mediaType = type === undefined ? undefined : String(type).split(';')[0]
    const method = request.method.toLowerCase()
    // Event streams write their head themselves; they have a test of their own.
    if (route?.endsWith('/events') && reply.statusCode === 200) return
    if (route && route in documentedRoutes) answers.push({ method, route, status: reply.statusCode, mediaType })
  })
  const post = (payload: object) => app.inject({ method: 'POST', url: '/v1/dumps', payload })
  /** A dump that succeeded with `content` as its artifact. */
  const publish = async (content: Buffer) => {
    const { id } = dumpResource.parse((await post({ guest: 'web-1' })).json())
    const sha256 = createHash('sha256').update(content).digest('hex')
    mkdirSync(join(folder, id))
    writeFileSync(join(folder, id, 'vmcore'), content)
    const report = reportOf(content.length, sha256)
    writeFileSync(join(folder, id, 'report.json'), JSON.stringify(report))
    const result = { artifact: report.artifact, pausedMs: 5, alarm: false, warnings: [], totalMs: 50 }
    queue.set(id, { state: 'succeeded', attempts: 1, startedMs: 1_000, finishedMs: 2_000, result })
    await follow.look(id)
    return { id, sha256 }
  }
  return { folder, journal, queue, fleet, follow, app, answers, post, publish }
}

function reportOf(bytes: number, sha256: string) {
  return {
    schema: 'ullage.report/1' as const,
    guest: { backend: 'virtio-balloon', kernel: null, vmcoreinfo: 'none' as const, pageSize: 4096 },
    frames: { total: 0, byClass: {}, byFate: { write: 0, zero: 0, leaveOut: 0 } },
    disagreements: { reclaimableBytes: 0, untouched: 0, inUseUnbacked: 0, offlineUntold: 0, alarm: false },
    hostMemory: { backedBytesBefore: 0, backedBytesAfter: 0, residentBytesBefore: 0, residentBytesAfter: 0 },
    trust: 'guest' as const,
    warnings: [],
    consistency: { mode: 'paused' as const, pausedMs: 5 },
    process: { peakBytes: 1 },
    artifact: { file: 'vmcore', bytes, sha256, format: 'kdump' as const, compression: 'zstd' as const, level: 31 },
    timingsMs: { classify: 1, write: 2, verify: 3, total: 6 },
  }
}

const documentedRoutes = {
  '/healthz': '/healthz',
  '/metrics': '/metrics',
  '/readyz': '/readyz',
  '/v1/dumps': '/v1/dumps',
  '/v1/dumps/:id': '/v1/dumps/{id}',
  '/v1/dumps/:id/artifact': '/v1/dumps/{id}/artifact',
  '/v1/dumps/:id/events': '/v1/dumps/{id}/events',
  '/v1/dumps/:id/report': '/v1/dumps/{id}/report',
  '/v1/guests': '/v1/guests',
  '/v1/guests/:id': '/v1/guests/{id}',
  '/v1/guests/:id/pages': '/v1/guests/{id}/pages',
  '/v1/hosts': '/v1/hosts',
}

/** Every answer that a test got is one that the document has, with its media type. */
async function expectDocumented() {
  const { paths } = (await api.app.inject('/openapi.json')).json()
  for (const { method, route, status, mediaType } of api.answers) {
    const answer = paths[route.replace(':id', '{id}')]?.[method]?.responses?.[status]
    expect(answer, `${method} ${route} ${status}`).toBeDefined()
    expect(Object.keys(answer.content ?? {}), `${method} ${route} ${status}`).toEqual(mediaType ? [mediaType] : [])
  }
}

let api: Awaited<ReturnType<typeof setUp>>
beforeEach(async () => {
  api = await setUp()
})
afterEach(async () => {
  await expectDocumented()
  await api.app.close()
  api.journal[Symbol.dispose]()
  rmSync(api.folder, { recursive: true })
})

test('a dump is accepted, queued and shown', async () => {
  const answer = await api.post({ guest: 'web-1', level: 1 })
  expect(answer.statusCode).toBe(202)
  const dump = dumpResource.parse(answer.json())
  expect(answer.headers.location).toBe(`/v1/dumps/${dump.id}`)
  expect(dump).toMatchObject({
    guest: 'web-1',
    host: 'h1',
    state: 'queued',
    options: { level: 1, compression: 'zstd' },
  })
  expect(api.queue.jobs.has(dump.id)).toBe(true)
  expect((await api.app.inject(dump.links.self)).json()).toEqual(answer.json())
})

test('a second dump of a guest is refused with a link to the first', async () => {
  const first = (await api.post({ guest: 'web-1' })).json()
  const second = await api.post({ guest: 'web-1' })
  expect(second.statusCode).toBe(409)
  expect(second.json()).toMatchObject({ code: 'DUMP_ACTIVE', dump: first.links.self })
  expect((await api.post({ guest: 'web-2' })).statusCode).toBe(202)
})

test.each([
  [{ guest: 'nobody' }, 404, 'GUEST_UNKNOWN'],
  [{ guest: 'db-1' }, 503, 'HOST_UNREACHABLE'],
  [{ guest: 'moved' }, 409, 'GUEST_AMBIGUOUS'],
  [{ guest: 'odd' }, 409, 'GUEST_UNUSABLE'],
  [{ guest: '../web-1' }, 400, 'REQUEST_INVALID'],
  [{ guest: 'web-1', level: 99 }, 400, 'REQUEST_INVALID'],
  [{ guest: 'web-1', output: '/tmp/x' }, 400, 'REQUEST_INVALID'],
  [{}, 400, 'REQUEST_INVALID'],
])('POST %j is answered with %i %s, as a problem with a remedy', async (body, status, code) => {
  const answer = await api.post(body)
  expect(answer.statusCode).toBe(status)
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(answer.json()).toMatchObject({ status, code, remedy: expect.any(String), detail: expect.any(String) })
  expect(api.journal.counts().queued).toBe(0)
})

test.each([
  ['GET', '/v1/dumps/x', 400],
  ['GET', `/v1/dumps/${randomUUID()}`, 404],
  ['GET', `/v1/dumps/${randomUUID()}/artifact`, 404],
  ['GET', `/v1/dumps/${randomUUID()}/report`, 404],
  ['GET', `/v1/dumps/${randomUUID()}/events`, 404],
  ['DELETE', `/v1/dumps/${randomUUID()}`, 404],
  ['GET', '/v1/dumps?limit=0', 400],
  ['GET', '/v1/dumps?cursor=x', 400],
  ['GET', '/v1/dumps?what=1', 400],
  ['GET', '/v1/guests/nobody', 404],
  ['GET', '/v1/guests/..%2Fetc', 400],
  ['GET', '/v2', 404],
  ['GET', '/v1/dumps/%zz', 400],
  ['PUT', '/v1/dumps', 404],
] as const)('%s %s is a problem with status %i', async (method, url, status) => {
  const answer = await api.app.inject({ method, url })
  expect(answer.statusCode).toBe(status)
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
})

test('a body that is not JSON, or too large, is refused', async () => {
  const send = (type: string, payload: string) =>
    api.app.inject({ method: 'POST', url: '/v1/dumps', headers: { 'content-type': type }, payload })
  expect((await send('application/json', '{')).json()).toMatchObject({ status: 400, code: 'REQUEST_INVALID' })
  expect((await send('text/plain', '{"guest":"web-1"}')).json()).toMatchObject({ status: 415, code: 'MEDIA_TYPE' })
  expect((await send('text/xml', '<a/>')).json()).toMatchObject({ status: 415, code: 'MEDIA_TYPE' })
  expect((await send('application/json', `"${'x'.repeat(70_000)}"`)).json()).toMatchObject({ code: 'BODY_TOO_LARGE' })
})

test('what was accepted while the queue was away is queued when it is back', async () => {
  api.queue.away = true
  const answer = await api.post({ guest: 'web-1' })
  expect(answer.statusCode).toBe(202)
  expect(api.queue.jobs.size).toBe(0)
  api.queue.away = false
  await api.follow.sweep()
  expect([...api.queue.jobs.keys()]).toEqual([answer.json().id])
})

test('a queue that forgot: what no worker had is queued again, what one had is lost', async () => {
  const waiting = (await api.post({ guest: 'web-1' })).json()
  const begun = (await api.post({ guest: 'web-2' })).json()
  api.queue.set(begun.id, { state: 'running', attempts: 1, startedMs: 1_000 })
  await api.follow.sweep()
  api.queue.jobs.clear()
  await api.follow.sweep()
  expect([...api.queue.jobs.keys()]).toEqual([waiting.id])
  expect((await api.app.inject(begun.links.self)).json()).toMatchObject({ state: 'lost', failure: { code: 'LOST' } })
  expect((await api.app.inject(waiting.links.self)).json()).toMatchObject({ state: 'queued' })
})

test('a dump that the queue forgot after it was published has succeeded', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  api.queue.set(dump.id, { state: 'running', attempts: 1, startedMs: 1_000 })
  await api.follow.sweep()
  mkdirSync(join(api.folder, dump.id))
  writeFileSync(join(api.folder, dump.id, 'report.json'), JSON.stringify(reportOf(3, 'a'.repeat(64))))
  api.queue.jobs.clear()
  await api.follow.sweep()
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'succeeded', failure: null })
})

test('a dump whose attempt failed is queued with the reason, then failed for good', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  const failure = { code: 'CHILD_DIED', message: 'it died' }
  api.queue.set(dump.id, { state: 'queued', attempts: 1, startedMs: 1_000, failure })
  await api.follow.sweep()
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'queued', attempts: 1, failure })
  api.queue.set(dump.id, { state: 'failed', attempts: 2, finishedMs: 9_000 })
  await api.follow.sweep()
  const shown = (await api.app.inject(dump.links.self)).json()
  expect(shown).toMatchObject({ state: 'failed', attempts: 2, failure, finishedAt: new Date(9_000).toISOString() })
  const artifact = await api.app.inject(`${dump.links.self}/artifact`)
  expect(artifact.json()).toMatchObject({ status: 409, code: 'NO_ARTIFACT', failure })
})

test('DELETE cancels a queued dump at once', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  const answer = await api.app.inject({ method: 'DELETE', url: dump.links.self })
  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toMatchObject({ state: 'cancelled', cancelRequested: true })
  expect((await api.post({ guest: 'web-1' })).statusCode).toBe(202)
})

test('a dump cancelled between two attempts was cancelled, whatever the first one failed of', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  const failure = { code: 'CHILD_DIED', message: 'it died' }
  api.queue.set(dump.id, { state: 'queued', attempts: 1, startedMs: 1_000, failure })
  await api.follow.sweep()
  const answer = await api.app.inject({ method: 'DELETE', url: dump.links.self })
  expect(answer.json()).toMatchObject({ state: 'cancelled', failure: { code: 'CANCELLED' } })
})

test('a dump that succeeded shows no stale progress', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  const progress = { stage: 'classify' as const, done: 0, total: 5 }
  api.queue.set(dump.id, { state: 'running', attempts: 1, startedMs: 1_000, progress })
  await api.follow.sweep()
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'running', progress })
  const { artifact } = reportOf(3, 'a'.repeat(64))
  const result = { artifact, pausedMs: 5, alarm: false, warnings: [], totalMs: 50 }
  api.queue.set(dump.id, { state: 'succeeded', finishedMs: 2_000, result })
  await api.follow.sweep()
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'succeeded', progress: null })
})

test('DELETE asks the worker of a running dump to end it, and shows that', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  api.queue.set(dump.id, { state: 'running', attempts: 1, startedMs: 1_000 })
  const answer = await api.app.inject({ method: 'DELETE', url: dump.links.self })
  expect(answer.statusCode).toBe(202)
  expect(answer.json()).toMatchObject({ cancelRequested: true })
  expect(api.queue.cancelled).toEqual([dump.id])
  api.queue.set(dump.id, {
    state: 'cancelled',
    finishedMs: 3_000,
    failure: { code: 'CANCELLED', message: 'cancelled' },
  })
  await api.follow.look(dump.id)
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'cancelled' })
})

test('a dump cancelled while the queue is away is cancelled when it is back, and never queued', async () => {
  api.queue.away = true
  const dump = (await api.post({ guest: 'web-1' })).json()
  expect((await api.app.inject({ method: 'DELETE', url: dump.links.self })).statusCode).toBe(202)
  api.queue.away = false
  await api.follow.sweep()
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'cancelled' })
  expect(api.queue.jobs.size).toBe(0)
})

test('DELETE of a finished dump removes artifact and record', async () => {
  const { id } = await api.publish(Buffer.from('vmcore'))
  expect((await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${id}` })).statusCode).toBe(204)
  expect((await api.app.inject(`/v1/dumps/${id}`)).statusCode).toBe(404)
  const { readdirSync } = process.getBuiltinModule('node:fs')
  expect(readdirSync(api.folder)).toEqual([])
})

test('lists are paged by cursor', async () => {
  const ids = []
  for (const name of ['web-1', 'web-2']) ids.push((await api.post({ guest: name })).json().id)
  const first = (await api.app.inject('/v1/dumps?limit=1')).json()
  expect(first.items.map(({ id }: { id: string }) => id)).toEqual([ids[1]])
  const second = (await api.app.inject(`/v1/dumps?limit=1&cursor=${first.next}`)).json()
  expect(second.items.map(({ id }: { id: string }) => id)).toEqual([ids[0]])
  expect(second.next).toBeNull()
  expect((await api.app.inject('/v1/dumps?guest=web-1')).json().items).toHaveLength(1)
  expect((await api.app.inject('/v1/dumps?state=failed')).json().items).toHaveLength(0)
})

test('an artifact is served whole, with its digest', async () => {
  const content = Buffer.from(Array.from({ length: 5_000 }, (_, index) => index % 251))
  const { id, sha256 } = await api.publish(content)
  const whole = await api.app.inject(`/v1/dumps/${id}/artifact`)
  expect(whole.statusCode).toBe(200)
  expect(whole.rawPayload.equals(content)).toBe(true)
  expect(whole.headers).toMatchObject({
    etag: `"sha256-${sha256}"`,
    'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
    'content-length': '5000',
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename="web-1-${id}.vmcore"`,
  })
})

test('an artifact is served in ranges', async () => {
  const content = Buffer.from(Array.from({ length: 5_000 }, (_, index) => index % 251))
  const { id, sha256 } = await api.publish(content)
  const get = (headers: Record<string, string>) => api.app.inject({ url: `/v1/dumps/${id}/artifact`, headers })
  const part = await get({ range: 'bytes=100-199' })
  expect(part.statusCode).toBe(206)
  expect(part.headers).toMatchObject({ 'content-range': 'bytes 100-199/5000', 'content-length': '100' })
  expect(part.rawPayload.equals(content.subarray(100, 200))).toBe(true)
  expect((await get({ range: 'bytes=-10' })).rawPayload.equals(content.subarray(4_990))).toBe(true)
  for (const range of ['bytes=5000-', 'bytes=9-1', 'bytes=x', 'bytes=0-1,2-3']) {
    const refused = await get({ range })
    expect(refused.statusCode).toBe(416)
    expect(refused.headers['content-range']).toBe('bytes */5000')
  }
  expect((await get({ range: 'bytes=0-9', 'if-range': `"sha256-${sha256}"` })).statusCode).toBe(206)
  expect((await get({ range: 'bytes=0-9', 'if-range': '"other"' })).statusCode).toBe(200)
  const same = await get({ 'if-none-match': `W/"sha256-${sha256}"` })
  expect(same.statusCode).toBe(304)
  expect(same.payload).toBe('')
  expect(same.headers).not.toHaveProperty('content-length')
  expect(same.headers).not.toHaveProperty('content-type')
  expect(same.headers.etag).toBe(`"sha256-${sha256}"`)
})

test('HEAD of an artifact says its length and reads nothing of it', async () => {
  const { id } = await api.publish(Buffer.alloc(5_000, 1))
  const head = await api.app.inject({ method: 'HEAD', url: `/v1/dumps/${id}/artifact` })
  expect(head.statusCode).toBe(200)
  expect(head.headers['content-length']).toBe('5000')
  expect(head.rawPayload).toHaveLength(0)
})

test('an artifact that is gone, or has another size, is not served', async () => {
  const { id } = await api.publish(Buffer.from('vmcore'))
  writeFileSync(join(api.folder, id, 'vmcore'), 'vmc')
  expect((await api.app.inject(`/v1/dumps/${id}/artifact`)).json()).toMatchObject({
    status: 410,
    code: 'ARTIFACT_GONE',
  })
  rmSync(join(api.folder, id), { recursive: true })
  expect((await api.app.inject(`/v1/dumps/${id}/artifact`)).statusCode).toBe(410)
  expect((await api.app.inject(`/v1/dumps/${id}/report`)).statusCode).toBe(410)
})

test('a report is served', async () => {
  const { id, sha256 } = await api.publish(Buffer.from('vmcore'))
  const report = await api.app.inject(`/v1/dumps/${id}/report`)
  expect(report.statusCode).toBe(200)
  expect(report.json()).toMatchObject({ schema: 'ullage.report/1', artifact: { sha256, file: 'vmcore' } })
})

test('an unfinished dump has no artifact and no report yet', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  expect((await api.app.inject(`${dump.links.self}/artifact`)).json()).toMatchObject({ code: 'DUMP_UNFINISHED' })
  expect((await api.app.inject(`${dump.links.self}/report`)).json()).toMatchObject({ code: 'DUMP_UNFINISHED' })
})

test('guests and hosts are listed, with what is known of them', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  const { items } = (await api.app.inject('/v1/guests')).json()
  expect(items.map(({ id }: { id: string }) => id)).toEqual([
    'db-1',
    'moved',
    'moved',
    'odd',
    'twice',
    'web-1',
    'web-2',
  ])
  const shown = (await api.app.inject('/v1/guests/web-1')).json()
  expect(shown).toMatchObject({ host: 'h1', reachable: true, activeDump: dump.links.self, backend: 'virtio-balloon' })
  expect((await api.app.inject('/v1/guests/db-1')).json()).toMatchObject({ reachable: false })
  const hosts = (await api.app.inject('/v1/hosts')).json()
  expect(hosts.items[1]).toMatchObject({ host: 'h2', reachable: false, guests: ['db-1', 'twice'] })
})

test('pages come from the worker, whose failure is told', async () => {
  api.queue.pagesAnswer = {
    guest: { backend: 'virtio-balloon', kernel: '6.1.0', pageSize: 4096, machine: 'x86_64' },
    frames: { total: 4, byClass: { offline: { backed: 0, swapped: 0, unbacked: 4, unknown: 0 } }, byFate: {} },
    warnings: [],
  }
  const pages = await api.app.inject('/v1/guests/web-1/pages')
  expect(pages.json()).toEqual(api.queue.pagesAnswer)
  api.queue.pagesAnswer = new ApiProblem('PAGES_FAILED', 'no qmp socket')
  expect((await api.app.inject('/v1/guests/web-1/pages')).json()).toMatchObject({
    status: 502,
    detail: 'no qmp socket',
  })
  expect((await api.app.inject('/v1/guests/db-1/pages')).statusCode).toBe(503)
})

test('ready while journal and fleet answer, not ready when they do not, alive in any case', async () => {
  expect((await api.app.inject('/readyz')).json()).toEqual({ ready: true, journal: 'ok', queue: 'ok' })
  api.fleet.hosts = async () => {
    throw new ApiProblem('QUEUE_UNREACHABLE', 'redis is away')
  }
  const answer = await api.app.inject('/readyz')
  expect(answer.statusCode).toBe(503)
  expect(answer.json()).toEqual({ ready: false, journal: 'ok', queue: 'redis is away' })
  expect((await api.app.inject('/healthz')).statusCode).toBe(200)
  expect((await api.app.inject('/metrics')).statusCode).toBe(200)
})

test('metrics count what finished, once', async () => {
  const { id } = await api.publish(Buffer.from('vmcore'))
  await api.follow.look(id)
  const text = (await api.app.inject('/metrics')).payload
  expect(text).toContain('ullage_dumps_finished_total{state="succeeded",code=""} 1')
  expect(text).toContain('ullage_dumps{state="succeeded"} 1')
  expect(text).toContain('ullage_artifact_bytes_total 6')
  expect(text).toContain('ullage_hosts{reachable="false"} 1')
  expect(text).toMatch(/ullage_http_request_seconds_count\{method="POST",route="\/v1\/dumps",status="202"\} 1/)
})

test('the OpenAPI document has every route and its schemas, and the docs page shows them', async () => {
  const document = (await api.app.inject('/openapi.json')).json()
  expect(document.openapi).toBe('3.1.0')
  expect(Object.keys(document.paths).sort()).toEqual(Object.values(documentedRoutes))
  const problemAnswer = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
  for (const methods of Object.values<Record<string, { responses: Record<string, object> }>>(document.paths)) {
    for (const { responses } of Object.values(methods)) expect(responses[500]).toMatchObject({ content: problemAnswer })
  }
  expect(Object.keys(document.paths['/v1/dumps'].post.responses)).toEqual([
    '202',
    '400',
    '404',
    '409',
    '413',
    '415',
    '500',
    '503',
  ])
  expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining(['Dump', 'DumpReport', 'Problem']))
  const page = await api.app.inject('/docs')
  expect(page.headers['content-type']).toMatch(/^text\/html/)
  expect(page.payload).toContain('/v1/dumps/{id}/events')
  expect(page.payload).not.toMatch(/src=|https?:\/\//)
})

test('events are documented as what they are', async () => {
  const { id } = await api.publish(Buffer.from('vmcore'))
  const events = await api.app.inject(`/v1/dumps/${id}/events`)
  expect(events.statusCode).toBe(200)
  expect(events.headers['content-type']).toMatch(/^text\/event-stream/)
  const { paths } = (await api.app.inject('/openapi.json')).json()
  expect(Object.keys(paths['/v1/dumps/{id}/events'].get.responses[200].content)).toEqual(['text/event-stream'])
})

test('an answer that nobody foresaw is a problem', async () => {
  api.fleet.hosts = async () => {
    throw new TypeError('a secret')
  }
  const answer = await api.app.inject('/v1/guests')
  expect(answer.statusCode).toBe(500)
  expect(answer.json()).toMatchObject({ code: 'INTERNAL' })
  expect(answer.payload).not.toContain('secret')
})
