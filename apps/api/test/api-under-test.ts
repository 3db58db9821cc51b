import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FolderStore, Keyring } from '@ullage/artifact-store'
import { dumpResource } from '@ullage/dump-job'
import { pino } from 'pino'
import { afterEach, beforeEach, expect } from 'vitest'
import type { ApiParts } from '../src/api-parts.ts'
import type { Guard } from '../src/auth/guard-routes.ts'
import { type ApiSurroundings, buildApi } from '../src/build-api.ts'
import type { Fleet, FleetHost } from '../src/fleet.ts'
import { FollowJobs } from '../src/follow-jobs.ts'
import type { JobQueue, ObservedJob } from '../src/job-queue.ts'
import { Journal } from '../src/journal.ts'
import { ApiProblem } from '../src/problem.ts'

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

/** A guest as its host announces it. */
export const guest = (id: string, tenant: string | null = null) => ({
  id,
  backend: 'virtio-balloon',
  problem: null,
  tenant,
})
/** A host with these guests, whose worker beats unless it is said not to. */
export const host = (name: string, guests: FleetHost['guests'], reachable = true): FleetHost => ({
  host: name,
  instance: randomUUID(),
  startedAt: new Date().toISOString(),
  concurrency: 1,
  guests,
  reachable,
  drainingSince: null,
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
  async hostsOf(id: string) {
    return (await this.hosts()).filter(({ guests }) => guests.some((guest) => guest.id === id))
  }
  async host(id: string) {
    return (await this.hosts()).find((each) => each.host === id)
  }
  async drain(id: string, draining: boolean) {
    const drainingSince = draining ? new Date().toISOString() : null
    this.now = this.now.map((each) => (each.host === id ? { ...each, drainingSince } : each))
  }
}

/** An API on doubles, with its own folder and a journal in memory. */
export async function setUp(
  guard: Guard = {},
  more: Pick<ApiParts, 'quotaOf'> = {},
  surroundings: ApiSurroundings = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'ullage-api-'))
  const journal = new Journal(':memory:')
  const queue = new QueueDouble()
  const fleet = new FleetDouble()
  const log = pino({ level: 'silent' })
  const published = new FolderStore({ folder, keys: new Keyring([]) })
  const follow = new FollowJobs({ journal, queue, published, log })
  const app = await buildApi({ journal, queue, fleet, follow, published, ...more }, log, guard, surroundings)
  const answers: { method: string; route: string; status: number; mediaType: string | undefined }[] = []
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url
    const type = reply.getHeader('content-type')
    const mediaType = type === undefined ? undefined : String(type).split(';')[0]
    const method = request.method.toLowerCase()
    // Event streams write their head themselves; they have a test of their own.
    if (route?.endsWith('/events') && reply.statusCode === 200) return
    // Those of every address, which the document does not repeat.
    if (reply.statusCode === 405) return
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
  const tearDown = async () => {
    await app.close()
    journal[Symbol.dispose]()
    rmSync(folder, { recursive: true })
  }
  return { folder, journal, queue, fleet, follow, published, app, answers, post, publish, tearDown }
}

/** The report of a dump of `bytes` bytes. */
export function reportOf(bytes: number, sha256: string) {
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

/** Routes, and what the document calls them. */
export const documentedRoutes = {
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
  '/v1/hosts/:id/drain': '/v1/hosts/{id}/drain',
}

/** Every answer that a test got is one that the document has, with its media type. */
export async function expectDocumented({ app, answers }: Pick<Awaited<ReturnType<typeof setUp>>, 'app' | 'answers'>) {
  const { paths } = (await app.inject('/openapi.json')).json()
  for (const { method, route, status, mediaType } of answers) {
    const methods = paths[route.replace(':id', '{id}')]
    // HEAD is answered as GET is, where the document says nothing else.
    const operation = methods?.[method] ?? (method === 'head' ? methods?.get : undefined)
    const answer = operation?.responses?.[status]
    expect(answer, `${method} ${route} ${status}`).toBeDefined()
    expect(Object.keys(answer.content ?? {}), `${method} ${route} ${status}`).toEqual(mediaType ? [mediaType] : [])
  }
}

/** The API that the test at hand has to itself. */
export let api: Awaited<ReturnType<typeof setUp>>
beforeEach(async () => {
  api = await setUp()
})
afterEach(async () => {
  await expectDocumented(api)
  await api.tearDown()
})
