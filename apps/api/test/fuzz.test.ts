import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ApiProblem } from '../src/problem.ts'
import { guest, host, reportOf, setUp } from './api-under-test.ts'
import { judgeAnswer } from './fuzz/judge-answer.ts'
import { authenticateFuzz, type FuzzPrincipal, maySee, principals } from './fuzz/principals.ts'
import { type FuzzRequest, requestArbitrary } from './fuzz/request-arbitrary.ts'
import { sendRequest } from './fuzz/send-request.ts'

const REQUESTS = Number(process.env.ULLAGE_FUZZ_REQUESTS ?? 3_000)
const SEED = Number(process.env.ULLAGE_FUZZ_SEED ?? 1)
/** Requests that are under way at the same time. */
const AT_ONCE = 16

/** Whose the guests are; their names are nothing that chance makes. */
const OWNERS: Readonly<Record<string, string | null>> = {
  'guest-of-acme-1': 'acme',
  'guest-of-acme-2': 'acme',
  'guest-of-other-1': 'other',
  'guest-of-other-2': 'other',
  'guest-of-nobody': null,
}
const GUESTS = Object.keys(OWNERS)
const CONTENT = Buffer.from('what a vmcore holds')
const SHA256 = 'a'.repeat(64)
/** Where on a host something is, of which its failures and warnings tell an operator alone. */
const PLACE = '/srv/place-of-host/web 1.qmp'
const failure = { code: 'INVALID', message: `expected a socket at ${PLACE}` }
const warnings = [{ code: 'X2', text: `9 frames in ${PLACE} are in no region` }]
const pages = {
  guest: { backend: 'virtio-balloon', kernel: '6.1.0', pageSize: 4096 },
  frames: { total: 4, byClass: { offline: { backed: 0, swapped: 0, unbacked: 4, unknown: 0 } }, byFate: {} },
  warnings,
}

type Api = Awaited<ReturnType<typeof setUp>>
let api: Api

/** An API that asks who asks, with guests of two tenants on two hosts. */
async function startApi(): Promise<Api> {
  const started = await setUp({ authenticate: authenticateFuzz })
  const guests = Object.entries(OWNERS).map(([id, tenant]) => guest(id, tenant))
  started.fleet.now = [host('host-of-both', guests.slice(0, 4)), host('host-of-nobody', guests.slice(4))]
  return started
}

/** What who asks must not get to see: guests, dumps and hosts of others. */
function forbiddenTo(asking: FuzzPrincipal): string[] {
  const others = GUESTS.filter((id) => !maySee(asking, OWNERS[id] ?? null))
  const dumps = api.journal.list({ limit: 100 }).filter(({ tenant }) => !maySee(asking, tenant))
  return [...others, ...dumps.map(({ id }) => id), ...(maySee(asking, null) ? [] : ['host-of-nobody', 'place-of-host'])]
}

/** What happens behind the API between requests. */
const happenings = {
  nothing: async () => {},
  begin: () => settle((id) => api.queue.set(id, { state: 'running', attempts: 1, startedMs: 1_000 })),
  fail: () => settle((id) => api.queue.set(id, { state: 'failed', finishedMs: 2_000, failure })),
  succeed: () =>
    settle((id) => {
      const report = { ...reportOf(CONTENT.length, SHA256), warnings }
      mkdirSync(join(api.folder, id), { recursive: true })
      writeFileSync(join(api.folder, id, 'vmcore'), CONTENT)
      writeFileSync(join(api.folder, id, 'report.json'), JSON.stringify(report))
      const result = { artifact: report.artifact, pausedMs: 5, alarm: false, warnings, totalMs: 50 }
      api.queue.set(id, { state: 'succeeded', finishedMs: 2_000, result })
    }),
  pagesFail: async () => {
    api.queue.pagesAnswer = new ApiProblem('PAGES_FAILED', failure.message, { members: { failure } })
  },
  pagesAnswer: async () => {
    api.queue.pagesAnswer = pages
  },
  queueAway: async () => {
    api.queue.away = true
  },
  queueBack: async () => {
    api.queue.away = false
  },
} as const
type Happening = keyof typeof happenings

async function settle(change: (id: string) => void): Promise<void> {
  for (const { id } of api.journal.active().slice(0, 2)) {
    if (api.queue.jobs.has(id)) change(id)
    await api.follow.look(id)
  }
}

const any = <T>(from: readonly T[], pick: number): T => {
  const found = from[pick % from.length]
  if (found === undefined) throw new Error('expected something to pick from, found nothing')
  return found
}

/** The request with ids that there are, as one of the principals. */
function inPlace(request: FuzzRequest, dumps: readonly string[]): { sent: FuzzRequest; principal: FuzzPrincipal } {
  const dump = dumps.length > 0 ? any(dumps, request.pick) : 'none'
  const guest = any(GUESTS, request.pick >>> 3)
  const fill = (text: string) => text.replaceAll('{dump}', dump).replaceAll('{guest}', guest)
  const principal = any(principals, request.pick >>> 6)
  const headers = { ...request.headers, ...principal.headers }
  const body = request.body === undefined ? undefined : fill(request.body)
  return { sent: { ...request, path: fill(request.path), headers, body }, principal }
}

test(
  `${REQUESTS} requests of all kinds, seed ${SEED}: nothing breaks, nothing hangs, every refusal is a problem`,
  async () => {
    api = await startApi()
    const { port } = new URL(await api.app.listen({ port: 0, host: '127.0.0.1' }))
    api.queue.pagesAnswer = pages
    const requests = requestArbitrary((await api.app.inject('/openapi.json')).json())
    const statuses = new Map<number, number>()
    const start = performance.now()
    let count = 0
    const ask = async (request: FuzzRequest, dumps: readonly string[]) => {
      const { sent, principal } = inPlace(request, dumps)
      const said = `${principal.name}: ${JSON.stringify(sent).slice(0, 700)}`
      const answer = await sendRequest(Number(port), sent).catch((cause: unknown) => {
        throw new Error(`${said}: ${String(cause)}`, { cause })
      })
      count += 1
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      const wrong = judgeAnswer(sent, answer, forbiddenTo(principal))
      if (wrong.length > 0) throw new Error(`${wrong.join('; ')}: ${said}: ${JSON.stringify(answer).slice(0, 700)}`)
    }
    const batch = fc.array(requests, { minLength: AT_ONCE, maxLength: AT_ONCE })
    const happening = fc.oneof(
      fc.constant<Happening>('succeed'),
      fc.constantFrom(...(Object.keys(happenings) as Happening[])),
    )
    const checked = await fc.check(
      fc.asyncProperty(batch, happening, async (batch, happening) => {
        await happenings[happening]()
        const dumps = api.journal.list({ limit: 20 }).map(({ id }) => id)
        await Promise.all(batch.map((request) => ask(request, dumps)))
      }),
      // What a request does hangs on what came before: a smaller batch would be another case.
      { seed: SEED, numRuns: Math.ceil(REQUESTS / AT_ONCE), endOnFailure: true },
    )
    if (checked.failed) throw new Error(`seed ${SEED}, after ${count} requests`, { cause: checked.errorInstance })
    const seconds = (performance.now() - start) / 1000
    const byStatus = [...statuses].sort(([a], [b]) => a - b).map((each) => each.join(' × '))
    process.stdout.write(`fuzz: ${count} requests, ${(count / seconds).toFixed()} per second; ${byStatus.join(', ')}\n`)
    await api.tearDown()
    expect(count).toBeGreaterThanOrEqual(REQUESTS)
    // A fuzz that is refused at the door tries nothing.
    expect([...statuses.keys()]).toEqual(
      expect.arrayContaining([200, 202, 204, 206, 400, 401, 403, 404, 405, 409, 415, 503]),
    )
  },
  60_000 + REQUESTS * 20,
)

test('an answer that is wrong is found to be', () => {
  const asked = { method: 'GET', path: '/v1/dumps', body: undefined }
  const headers = { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' }
  const judge = (status: number, body: string, more: object = {}, forbidden: string[] = []) =>
    judgeAnswer(asked, { status, headers: { ...headers, ...more }, body }, forbidden).join('; ')
  const problem = { 'content-type': 'application/problem+json; charset=utf-8' }
  const told = JSON.stringify(new ApiProblem('HOST_UNREACHABLE', 'away').toJSON())
  expect(judge(200, '{}')).toBe('')
  expect(judge(503, told, problem)).toBe('')
  expect(judge(500, told, problem)).toMatch(/status 500/)
  expect(judge(404, '{}')).toMatch(/a refusal as application\/json/)
  expect(judge(503, '{"code":"X"}', problem)).toMatch(/a problem that is none/)
  expect(judge(502, told, problem)).toMatch(/of status 503 with status 502/)
  expect(judge(405, told.replace('503', '405'), problem)).toMatch(/without Allow/)
  expect(judge(200, '{"guest":"secret-1"}', {}, ['secret-1'])).toBe('tells of secret-1')
  expect(judge(202, '{}', { location: '/v1/dumps/secret-1' }, ['secret-1'])).toBe('tells of secret-1')
})
