import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { setUp } from '../../test/api-under-test.ts'
import { ApiProblem } from '../problem.ts'
import { badToken } from './bearer-token.ts'
import type { Principal } from './principal.ts'

const LOOK_EVERY_MS = 10

let api: Awaited<ReturnType<typeof setUp>>
/** Who has the key now, or what is thrown instead. */
let holder: Principal | Error
/** Told each time that it is asked. */
let onAsked: () => void
afterEach(() => api.tearDown())

const tenant: Principal = { id: 'key:ci', tenant: null, scopes: new Set(['admin']) }

async function begin(as: Principal = tenant) {
  holder = as
  onAsked = () => undefined
  const authenticate = async () => {
    onAsked()
    if (holder instanceof Error) throw holder
    return holder
  }
  api = await setUp({ authenticate, lookEveryMs: LOOK_EVERY_MS })
  const base = await api.app.listen({ port: 0, host: '127.0.0.1' })
  const { id } = (await api.post({ guest: 'web-1' })).json()
  return { base, id }
}

const someLooks = () => new Promise((resolve) => setTimeout(resolve, 10 * LOOK_EVERY_MS))

test.each<[string, Principal | Error, RegExp]>([
  ['whose key was removed', badToken('the token is not one that is accepted here'), /^: the token is not one/m],
  ["whose key is now another tenant's", { ...tenant, tenant: 'acme' }, /^: the key is now another one/m],
  ['whose scope was taken away', { ...tenant, scopes: new Set(['guests:read']) }, /^: the scope was taken away/m],
])('the events of one %s end, and say why', async (_who, now, said) => {
  const { base, id } = await begin()
  const answer = await fetch(`${base}/v1/dumps/${id}/events`)
  const text = answer.text()
  await someLooks()
  holder = now
  expect(await text).toMatch(said)
  expect(api.journal.get(id)?.state).toBe('queued')
})

test('events end when the token expires, and not before', async () => {
  const { base, id } = await begin()
  const began = Date.now()
  holder = { ...tenant, expiresMs: began + 1_000 }
  const text = await (await fetch(`${base}/v1/dumps/${id}/events`)).text()
  expect(text).toMatch(/^: the token has expired: come again/m)
  expect(Date.now() - began).toBeGreaterThanOrEqual(1_000)
})

test('while it cannot be told who asks, events go on', async () => {
  const { base, id } = await begin()
  const answer = await fetch(`${base}/v1/dumps/${id}/events`)
  const text = answer.text()
  await someLooks()
  holder = new ApiProblem('AUTH_UNREACHABLE', 'the keys of the issuer could not be fetched')
  await someLooks()
  holder = tenant
  api.journal.change(id, { state: 'running' })
  api.journal.change(id, { state: 'failed', finishedMs: 1 })
  expect(await text).toContain('"state":"failed"')
})

/** A download by a client that stops reading after its first bytes. */
async function halfDownload(base: string) {
  const content = Buffer.alloc(48 << 20, 7)
  const { id } = await api.publish(content)
  const socket = connect(Number(new URL(base).port), '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(`GET /v1/dumps/${id}/artifact HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
  await once(socket, 'readable')
  return { socket, bytes: content.length }
}

async function rest(socket: ReturnType<typeof connect>): Promise<number> {
  let bytes = 0
  socket.on('data', (piece) => (bytes += piece.length))
  await once(socket, 'close')
  return bytes
}

test('a download whose key was removed is cut off', async () => {
  const { base, id } = await begin()
  api.queue.set(id, { state: 'failed' })
  await api.follow.look(id)
  const { socket, bytes } = await halfDownload(base)
  holder = badToken('the token is not one that is accepted here')
  await someLooks()
  expect(await rest(socket)).toBeLessThan(bytes)
})

test('a download that began goes on when its token expires', async () => {
  const { base, id } = await begin({ ...tenant, expiresMs: Date.now() + 1_500 })
  api.queue.set(id, { state: 'failed' })
  await api.follow.look(id)
  const { socket, bytes } = await halfDownload(base)
  await new Promise((resolve) => setTimeout(resolve, 1_600))
  holder = badToken('the token has expired')
  await someLooks()
  expect(await rest(socket)).toBeGreaterThan(bytes)
})

test('one that leaves while the artifact is opened is asked for no more, and the artifact is closed', async () => {
  const { base, id: other } = await begin()
  api.queue.set(other, { state: 'failed' })
  await api.follow.look(other)
  const { id } = await api.publish(Buffer.alloc(5_000, 7))
  const opening = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  const open = api.published.open.bind(api.published)
  api.published.open = async (dump) => {
    opening.resolve()
    await gone.promise
    const artifact = await open(dump)
    const close = artifact?.close.bind(artifact)
    return artifact && close && Object.assign(artifact, { close: () => close().then(closed.resolve) })
  }
  const asked = vi.fn()
  const socket = connect(Number(new URL(base).port), '127.0.0.1')
  api.app.server.once('connection', (connection) => connection.once('close', () => setImmediate(gone.resolve)))
  socket.write(`GET /v1/dumps/${id}/artifact HTTP/1.1\r\nhost: x\r\n\r\n`)
  await opening.promise
  socket.destroy()
  await closed.promise
  onAsked = asked
  await someLooks()
  expect(asked).not.toHaveBeenCalled()
})
