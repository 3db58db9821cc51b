import { expect, test } from 'vitest'
import { api, documentedRoutes } from '../test/api-under-test.ts'
import { ApiProblem } from './problem.ts'

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
  // What was answered stands for a second.
  await expect.poll(async () => (await api.app.inject('/readyz')).statusCode, { timeout: 10_000 }).toBe(503)
  const answer = await api.app.inject('/readyz')
  expect(answer.json()).toEqual({ ready: false, journal: 'ok', queue: 'redis does not answer' })
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
    '401',
    '403',
    '404',
    '409',
    '410',
    '413',
    '415',
    '422',
    '429',
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
