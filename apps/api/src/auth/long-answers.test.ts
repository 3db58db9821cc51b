import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { guest, host, setUp } from '../../test/api-under-test.ts'
import { badToken } from './bearer-token.ts'
import type { Principal } from './principal.ts'

const admin: Principal = { id: 'jwt:ci', tenant: null, scopes: new Set(['admin']) }
const principals: Record<string, Principal> = {
  ci: admin,
  dev: { ...admin, id: 'jwt:dev' },
  'ci of acme': { ...admin, tenant: 'acme' },
  'dev of acme': { ...admin, tenant: 'acme', id: 'jwt:dev' },
  'ops of acme': { ...admin, tenant: 'acme', id: 'jwt:ops' },
}

let api: Awaited<ReturnType<typeof setUp>>
let base: string
const sockets: Socket[] = []
beforeEach(async () => {
  const authenticate = async (authorization = 'Bearer ci') => {
    const found = principals[authorization.replace('Bearer ', '')]
    if (!found) throw badToken('the token is not one that is accepted here')
    return found
  }
  api = await setUp({ authenticate })
  api.fleet.now = [host('h1', [guest('web-1', 'acme')])]
  base = await api.app.listen({ port: 0, host: '127.0.0.1' })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await api.tearDown()
})

/** The status that a client gets which then takes no more of the answer than what has come. */
async function begin(path: string, token: string): Promise<number> {
  const socket = connect(Number(new URL(base).port), '127.0.0.1')
  sockets.push(socket)
  socket.on('error', () => undefined)
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`)
  const [head] = await once(socket, 'data')
  socket.pause()
  return Number(/^HTTP\/1\.1 (\d+)/.exec(String(head))?.[1])
}

/** What can be followed, or downloaded, for as long as somebody likes. */
async function pathOf(what: string): Promise<string> {
  const { id } =
    what === 'events' ? (await api.post({ guest: 'web-1' })).json() : await api.publish(Buffer.alloc(32 << 20, 1))
  return `/v1/dumps/${id}/${what}`
}

test.each(['events', 'artifact'])('nobody takes all %s: each principal has a share of its own', async (what) => {
  const path = await pathOf(what)
  const statuses = await Promise.all(Array.from({ length: 64 }, () => begin(path, 'ci')))
  expect(statuses).toEqual(Array(64).fill(200))
  const refused = await fetch(`${base}${path}`, { headers: { authorization: 'Bearer ci' } })
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
  expect(await refused.json()).toMatchObject({
    code: 'STREAMS_EXHAUSTED',
    detail: expect.stringMatching(/than 64 open/),
  })
  // Who is called the same in a tenant is somebody else.
  expect([await begin(path, 'dev'), await begin(path, 'ci of acme')]).toEqual([200, 200])
  sockets[0]?.destroy()
  await expect.poll(() => begin(path, 'ci'), { timeout: 10_000 }).toBe(200)
})

test.each(['events', 'artifact'])('nor does a tenant, whoever of it asks: %s', async (what) => {
  const path = await pathOf(what)
  for (const token of ['ci of acme', 'dev of acme']) {
    expect(await Promise.all(Array.from({ length: 64 }, () => begin(path, token)))).toEqual(Array(64).fill(200))
  }
  const refused = await fetch(`${base}${path}`, { headers: { authorization: 'Bearer ops of acme' } })
  expect(refused.status).toBe(503)
  expect(await refused.json()).toMatchObject({
    code: 'STREAMS_EXHAUSTED',
    detail: expect.stringMatching(/than 128 open .* of a tenant/),
  })
  expect(await begin(path, 'dev')).toBe(200)
  sockets[0]?.destroy()
  await expect.poll(() => begin(path, 'ops of acme'), { timeout: 10_000 }).toBe(200)
})
