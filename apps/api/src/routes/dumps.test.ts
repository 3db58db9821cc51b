import { randomUUID } from 'node:crypto'
import { dumpResource } from '@ullage/dump-job'
import { expect, test } from 'vitest'
import { api } from '../../test/api-under-test.ts'

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
  ['PUT', '/v1/dumps', 405],
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
