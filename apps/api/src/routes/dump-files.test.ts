import { once } from 'node:events'
import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { expect, test } from 'vitest'
import { api } from '../../test/api-under-test.ts'
import { anonymous } from '../auth/principal.ts'
import { dumpFileRoutes } from './dump-files.ts'

test('an artifact is served whole, with its digest', async () => {
  const content = Buffer.from(Array.from({ length: 5_000 }, (_, index) => index % 251))
  const { id, sha256 } = await api.publish(content)
  const whole = await api.app.inject(`/v1/dumps/${id}/artifact`)
  expect(whole.statusCode).toBe(200)
  expect(whole.rawPayload.equals(content)).toBe(true)
  expect(whole.headers).toMatchObject({
    etag: `"sha256-${sha256}"`,
    'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
    'content-digest': whole.headers['repr-digest'],
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
  // The digest of the whole file is no digest of this content, nor of a refusal's.
  expect(part.headers).toHaveProperty('repr-digest')
  expect(part.headers).not.toHaveProperty('content-digest')
  expect((await get({ range: 'bytes=-10' })).rawPayload.equals(content.subarray(4_990))).toBe(true)
  for (const range of ['bytes=5000-', 'bytes=9-1', 'bytes=x', 'bytes=0-1,2-3']) {
    const refused = await get({ range })
    expect(refused.statusCode).toBe(416)
    expect(refused.headers['content-range']).toBe('bytes */5000')
    expect(refused.headers).not.toHaveProperty('repr-digest')
    expect(refused.headers).not.toHaveProperty('content-disposition')
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
  // RFC 9110, 14.2: only GET has ranges.
  const headers = { range: 'bytes=0-9' }
  const ranged = await api.app.inject({ method: 'HEAD', url: `/v1/dumps/${id}/artifact`, headers })
  expect([ranged.statusCode, ranged.headers['content-length']]).toEqual([200, '5000'])
})

/** How many descriptors of this process are open on the artifact. */
function openFiles(id: string): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch (error) {
      // The descriptor that the folder was read by.
      return String(error)
    }
  })
  return links.filter((path) => path === join(api.folder, id, 'vmcore')).length
}

async function untilClosed(id: string): Promise<void> {
  for (const deadline = Date.now() + 20_000; openFiles(id) > 0; await delay(10)) {
    if (Date.now() > deadline) throw new Error('waited 20 s until the artifact is closed')
  }
}

/** A client that asks for the artifact and takes the first bytes of it only. */
async function takeAFew(base: string, id: string) {
  const socket = connect(Number(new URL(base).port), '127.0.0.1')
  socket.write(`GET /v1/dumps/${id}/artifact HTTP/1.1\r\nhost: x\r\n\r\n`)
  await once(socket, 'data')
  return socket.pause()
}

/** Nothing but what routes are declared with. */
function bareApp() {
  const app = Fastify().withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.addHook('onRequest', async (request) => void (request.principal = anonymous))
  return app
}

test('a client that goes away, and one that stops reading, close the file', async () => {
  const { id } = await api.publish(Buffer.alloc(64 << 20, 1))
  const base = await api.app.listen({ port: 0, host: '127.0.0.1' })
  const gone = await takeAFew(base, id)
  expect(openFiles(id)).toBe(1)
  gone.destroy()
  await untilClosed(id)

  const { journal, queue, fleet, follow, published } = api
  const app = bareApp()
  dumpFileRoutes(app, { journal, queue, fleet, follow, published }, { stalledAfterMs: 200 })
  const stalled = await takeAFew(await app.listen({ port: 0, host: '127.0.0.1' }), id)
  expect(openFiles(id)).toBe(1)
  await untilClosed(id)
  stalled.destroy()
  await app.close()
})

test('a client waits for a store that is slow, and is not cut off for that', async () => {
  const content = Buffer.alloc(5_000, 1)
  const { id } = await api.publish(content)
  const { journal, queue, fleet, follow, published } = api
  const open = published.open.bind(published)
  published.open = async (dump) => {
    const artifact = await open(dump)
    if (!artifact) return undefined
    const read = artifact.read.bind(artifact)
    const readSlowly = async function* (startByte: number, endByte: number, signal?: AbortSignal) {
      yield* read(startByte, startByte + 1_000, signal)
      // Longer than a client may take, more than once.
      await delay(700)
      yield* read(startByte + 1_000, endByte, signal)
    }
    return Object.assign(artifact, { read: readSlowly })
  }
  const app = bareApp()
  dumpFileRoutes(app, { journal, queue, fleet, follow, published }, { stalledAfterMs: 200 })
  const answer = await fetch(`${await app.listen({ port: 0, host: '127.0.0.1' })}/v1/dumps/${id}/artifact`)
  expect(Buffer.from(await answer.arrayBuffer()).equals(content)).toBe(true)
  await app.close()
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
