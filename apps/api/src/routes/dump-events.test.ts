import { once } from 'node:events'
import { connect } from 'node:net'
import Fastify from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { expect, test } from 'vitest'
import { api } from '../../test/api-under-test.ts'
import { anonymous } from '../auth/principal.ts'
import { setErrorHandler } from '../set-error-handler.ts'
import { dumpEventRoutes } from './dump-events.ts'

interface Seen {
  readonly event: string | undefined
  readonly id: number
  readonly state: string | undefined
  readonly done: number | undefined
}

function parse(text: string): Seen[] {
  return text
    .split('\n\n')
    .filter((block) => block.includes('data:'))
    .map((block) => {
      const data = JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '')
      const [, event] = /^event: (\w+)$/m.exec(block) ?? []
      return { event, id: Number(/^id: (\d+)$/m.exec(block)?.[1]), state: data.state, done: data.progress?.done }
    })
}

/** A client that reads until told, and counts what it has seen. */
async function follow(url: string, lastEventId?: number) {
  const ending = new AbortController()
  const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': String(lastEventId) }
  const answer = await fetch(url, { headers, signal: ending.signal })
  let text = ''
  const read = (async () => {
    for await (const chunk of answer.body ?? []) text += Buffer.from(chunk).toString()
  })().catch((error: unknown) => {
    if (!ending.signal.aborted) throw error
  })
  return {
    status: answer.status,
    seen: () => parse(text),
    untilSeen: async (id: number) => {
      while (!parse(text).some((event) => event.id >= id)) await new Promise((resolve) => setTimeout(resolve, 2))
    },
    async leave() {
      ending.abort()
      await read
    },
    end: read,
  }
}

const progressOf = (done: number) => ({ stage: 'write' as const, done, total: 100 })

async function begin() {
  const base = await api.app.listen({ port: 0, host: '127.0.0.1' })
  const { id } = (await api.post({ guest: 'web-1' })).json()
  // The journal changes as the test says, not as the queue's double does.
  api.follow.look = async () => {}
  const revision = () => api.journal.get(id)?.revision ?? 0
  return { id, url: `${base}/v1/dumps/${id}/events`, revision }
}

test('a client that comes and goes at every event loses no change and sees none twice', async () => {
  const { id, url, revision } = await begin()
  const seen: Seen[] = []
  let last: number | undefined
  const steps = [
    () => api.journal.change(id, { state: 'running', attempts: 1, startedMs: 1 }),
    () => api.journal.change(id, { progress: progressOf(1) }),
    () => api.journal.change(id, { progress: progressOf(2) }),
    () => api.journal.change(id, { state: 'queued', progress: null }),
    () => api.journal.change(id, { state: 'running', attempts: 2 }),
    () => api.journal.change(id, { progress: progressOf(3) }),
    () => api.journal.change(id, { cancelRequested: true }),
    () => api.journal.change(id, { state: 'cancelled', progress: null, finishedMs: 9 }),
  ]
  // Changes happen while nobody listens, one and two at a time.
  for (const [index, step] of steps.entries()) {
    step()
    if (index === 3 || index === 6) continue
    const client = await follow(url, last)
    await client.untilSeen(revision())
    await client.leave()
    seen.push(...client.seen())
    last = seen.at(-1)?.id
  }
  const ids = seen.map((event) => event.id)
  expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b))
  expect(seen.map((event) => event.state).filter(Boolean)).toEqual([
    'running',
    'running',
    'running',
    'queued',
    'running',
    'running',
    'running',
    'cancelled',
  ])
  expect((await follow(url, last)).status).toBe(204)
})

test('a client that stays sees the same, and the stream ends with the dump', async () => {
  const { id, url, revision } = await begin()
  const client = await follow(url, revision())
  api.journal.change(id, { state: 'running', attempts: 1 })
  api.journal.change(id, { progress: progressOf(7) })
  api.journal.change(id, { state: 'failed' })
  await client.end
  expect(client.seen().map(({ event, state, done }) => [event, state, done])).toEqual([
    ['state', 'running', undefined],
    ['progress', undefined, 7],
    ['state', 'failed', 7],
  ])
})

test.each(['x', '999999', '-1', ''])('a Last-Event-ID of %j gets the dump as it is', async (last) => {
  const { id } = await api.publish(Buffer.from('vmcore'))
  const answer = await api.app.inject({ url: `/v1/dumps/${id}/events`, headers: { 'last-event-id': last } })
  expect(parse(answer.payload)).toMatchObject([{ event: 'state', state: 'succeeded' }])
  expect(answer.headers['x-content-type-options']).toBe('nosniff')
})

test('a client that reads nothing is cut off, and others are not', async () => {
  const { id, url, revision } = await begin()
  const { port, pathname } = new URL(url)
  const deaf = connect(Number(port), '127.0.0.1').pause()
  await once(deaf, 'connect')
  deaf.write(`GET ${pathname} HTTP/1.1\r\nhost: x\r\n\r\n`)
  const client = await follow(url)
  const connections = () =>
    new Promise<number>((resolve) => api.app.server.getConnections((_error, count) => resolve(count)))
  const before = await connections()
  const failure = { code: 'CHILD_DIED', message: 'x'.repeat(4_000) }
  for (let count = 1; (await connections()) === before; count += 1) {
    if (count > 20_000) throw new Error('a client that reads nothing was never cut off')
    api.journal.change(id, { failure: { ...failure, message: `${count}${failure.message}`.slice(0, 4_000) } })
    // Both sides need their turn.
    if (count % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  deaf.destroy()
  await client.untilSeen(revision())
  const ids = client.seen().map((event) => event.id)
  expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b))
  await client.leave()
  expect(api.journal.history.after(id, 0).length).toBeLessThanOrEqual(100)
})

test('there are only so many streams, and one that ends makes room', async () => {
  const { id } = (await api.post({ guest: 'web-1' })).json()
  const app = Fastify().withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  setErrorHandler(app)
  const { journal, queue, fleet, follow: follower } = api
  const published = api.published
  app.addHook('onRequest', async (request) => void (request.principal = anonymous))
  dumpEventRoutes(app, { journal, queue, fleet, follow: follower, published }, { mostStreams: 2 })
  const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/v1/dumps/${id}/events`
  const clients = [await follow(url), await follow(url)]
  const refused = await fetch(url)
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBe('5')
  expect(await refused.json()).toMatchObject({ code: 'STREAMS_EXHAUSTED' })
  await clients[0]?.leave()
  let third = await follow(url)
  while (third.status !== 200) third = await follow(url)
  await third.leave()
  await clients[1]?.leave()
  await app.close()
})
