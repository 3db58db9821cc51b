import { createHash } from 'node:crypto'
import { truncateSync, writeFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { join } from 'node:path'
import { ClientProblem, DigestError, type DumpEvent, UllageClient } from '@ullage/client'
import { expect, test } from 'vitest'
import { badToken } from '../src/auth/bearer-token.ts'
import { api, setUp } from './api-under-test.ts'

const listen = () => api.app.listen({ port: 0, host: '127.0.0.1' })

/** A fetch whose answers break off after so many bytes each, until it has done so `times`. */
function breakingFetch(afterBytes: number, times: number): typeof fetch & { broken: number } {
  const breaking = async (...[input, init]: Parameters<typeof fetch>) => {
    const answer = await fetch(input, init)
    if (!answer.body || breaking.broken >= times) return answer
    let left = afterBytes
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        controller.enqueue(piece.subarray(0, left))
        left -= piece.length
        if (left > 0) return
        breaking.broken += 1
        controller.error(new TypeError('the connection broke off'))
      },
    })
    return new Response(answer.body.pipeThrough(cut), answer)
  }
  breaking.broken = 0
  return breaking
}

test('post, follow, download, remove', async () => {
  const client = new UllageClient({ url: await listen() })
  const content = Buffer.alloc(3_000_000, 'vmcore')
  const { id } = await api.publish(content)
  const events: DumpEvent[] = []
  for await (const event of client.follow(id)) events.push(event)
  expect(events.map(({ event }) => event)).toEqual(['state'])
  const download = await client.download(id)
  expect(download).toMatchObject({ bytes: content.length, name: `web-1-${id}.vmcore` })
  expect((await buffer(download.stream)).equals(content)).toBe(true)
  expect(download.sha256).toBe(createHash('sha256').update(content).digest('hex'))
  expect((await client.report(id)).artifact.bytes).toBe(content.length)
  expect(await client.deleteDump(id)).toBeUndefined()
  await expect(client.dump(id)).rejects.toMatchObject({ status: 404, code: 'DUMP_UNKNOWN' })
})

test('a dump that is cancelled is returned, and seen by who waits for its end', async () => {
  const client = new UllageClient({ url: await listen() })
  const { id } = await client.createDump({ guest: 'web-1', level: 1 })
  const finished = client.finished(id)
  expect(await client.deleteDump(id)).toMatchObject({ id, state: 'cancelled' })
  expect(await finished).toMatchObject({ id, state: 'cancelled', options: { level: 1 } })
})

test('a dump is made once, though its first answers are lost', async () => {
  let sent = 0
  const lossy: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init)
    sent += 1
    if (sent < 3) throw new TypeError('the answer was lost')
    return answer
  }
  const client = new UllageClient({ url: await listen(), fetch: lossy })
  const { id } = await client.createDump({ guest: 'web-1' }, { retryMs: 1 })
  expect(sent).toBe(3)
  expect(api.journal.list({ limit: 9 }).map((dump) => dump.id)).toEqual([id])
})

test('a refusal is a ClientProblem, and is not asked for again', async () => {
  let sent = 0
  const counting: typeof fetch = (input, init) => {
    sent += 1
    return fetch(input, init)
  }
  const client = new UllageClient({ url: await listen(), fetch: counting })
  const first = await client.createDump({ guest: 'web-1' })
  const refused = await client.createDump({ guest: 'web-1' }).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(ClientProblem)
  expect(refused).toMatchObject({
    code: 'DUMP_ACTIVE',
    problem: { dump: first.links.self },
    remedy: expect.any(String),
  })
  expect(sent).toBe(2)
  const away = await client.createDump({ guest: 'db-1' }, { attempts: 3, retryMs: 1 }).catch((error: unknown) => error)
  expect(away).toMatchObject({ status: 503, code: 'HOST_UNREACHABLE' })
  expect(sent).toBe(5)
  await expect(client.follow('no-id').next()).rejects.toMatchObject({ status: 400 })
  await expect(client.download('no-id')).rejects.toMatchObject({ status: 400 })
})

test('what is no answer of the API is said to be none', async () => {
  const proxy: typeof fetch = async () => new Response('<html>', { status: 502, statusText: 'Bad Gateway' })
  const client = new UllageClient({ url: 'http://x', fetch: proxy })
  await expect(client.dump('x')).rejects.toMatchObject({ status: 502, code: 'NO_PROBLEM' })
})

test('events are followed over connections that break off, none lost and none twice', async () => {
  const fetch = breakingFetch(900, 5)
  const client = new UllageClient({ url: await listen(), fetch })
  const { id } = await client.createDump({ guest: 'web-1' })
  api.follow.look = async () => {}
  const steps = [
    () => api.journal.change(id, { state: 'running', attempts: 1 }),
    ...Array.from({ length: 20 }, (_, count) => () => api.journal.change(id, { attempts: count + 2 })),
    () => api.journal.change(id, { state: 'failed', finishedMs: 5 }),
  ]
  const seen: DumpEvent[] = []
  const reading = (async () => {
    for await (const event of client.follow(id)) seen.push(event)
  })()
  for (const step of steps) {
    step()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await reading
  expect(fetch.broken).toBe(5)
  const ids = seen.map((event) => Number(event.id))
  const first = ids[0] ?? 0
  const last = api.journal.get(id)?.revision ?? 0
  expect(ids).toEqual(Array.from({ length: last - first + 1 }, (_, index) => first + index))
}, 60_000)

test('a connection that says nothing is given up and made again; failures are counted', async () => {
  const client = new UllageClient({ url: await listen() })
  const { id } = await client.createDump({ guest: 'web-1' })
  const silent = new UllageClient({
    url: 'http://x',
    fetch: async (_input, init) =>
      new Response(
        new ReadableStream({
          start: (controller) => {
            controller.enqueue(new TextEncoder().encode('retry: 1\n\n'))
            init?.signal?.addEventListener('abort', () => controller.error(init.signal?.reason))
          },
        }),
      ),
  })
  await expect(silent.follow(id, { silenceMs: 20, failures: 2 }).next()).rejects.toThrow(/sign of life within 20 ms/)
  const ending = new AbortController()
  const next = (async () => {
    for await (const _ of client.follow(id, { signal: ending.signal })) ending.abort(new Error('enough'))
  })()
  await expect(next).rejects.toThrow('enough')
})

test('a download goes on where its connection broke off', async () => {
  const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 251))
  const { id } = await api.publish(content)
  const fetch = breakingFetch(50_000, 4)
  const client = new UllageClient({ url: await listen(), fetch })
  const { stream } = await client.download(id, { retryMs: 1 })
  expect((await buffer(stream)).equals(content)).toBe(true)
  expect(fetch.broken).toBe(4)
  const worse = new UllageClient({ url: baseUrl(), fetch: breakingFetch(0, 99) })
  const broken = await worse.download(id, { retryMs: 1, failures: 3 })
  await expect(buffer(broken.stream)).rejects.toThrow('broke off')
})

function baseUrl(): string {
  const address = api.app.server.address()
  if (address === null || typeof address === 'string') throw new Error('the API listens at no port')
  return `http://127.0.0.1:${address.port}`
}

test('a download that is not what was announced errors at its end, one that shrank is refused', async () => {
  const { id } = await api.publish(Buffer.alloc(100_000, 1))
  const file = join(api.folder, id, 'vmcore')
  const client = new UllageClient({ url: await listen() })
  writeFileSync(file, Buffer.alloc(100_000, 2))
  const { stream } = await client.download(id)
  await expect(buffer(stream)).rejects.toBeInstanceOf(DigestError)
  truncateSync(file, 5)
  await expect(client.download(id)).rejects.toMatchObject({ code: 'ARTIFACT_GONE' })
})

test('lists are walked page by page', async () => {
  const client = new UllageClient({ url: await listen() })
  const ids: string[] = []
  for (let count = 0; count < 5; count += 1) {
    const { id } = await client.createDump({ guest: 'web-1' })
    await client.deleteDump(id)
    ids.unshift(id)
  }
  const walked: string[] = []
  for await (const { id } of client.dumps({ limit: 2, state: 'cancelled' })) walked.push(id)
  expect(walked).toEqual(ids)
  const guests: string[] = []
  for await (const { id } of client.guests({ limit: 2, host: 'h1' })) guests.push(id)
  expect(guests).toEqual(['odd', 'web-1', 'web-2'])
  const hosts: string[] = []
  for await (const { host } of client.hosts({ limit: 3 })) hosts.push(host)
  expect(hosts).toEqual(['h1', 'h2', 'h3', 'h4'])
})

test('a token is sent with every request, asked for anew each time', async () => {
  const seen: (string | undefined)[] = []
  const { id } = await api.publish(Buffer.from('vmcore'))
  api.app.server.prependListener('request', ({ headers }) => seen.push(headers.authorization))
  let count = 0
  const client = new UllageClient({ url: await listen(), token: async () => `t${(count += 1)}` })
  await client.dump(id)
  await buffer((await client.download(id)).stream)
  await client.finished(id)
  expect(seen).toEqual(['Bearer t1', 'Bearer t2', 'Bearer t3'])
})

test('a follower whose tokens expire comes again with new ones, however often, and misses nothing', async () => {
  let issued = 0
  const authenticate = async (authorization = '') => {
    const expiresMs = Number(authorization.split('until-')[1])
    if (!(expiresMs > Date.now())) throw badToken('the token has expired')
    return { id: 'jwt:alice', tenant: null, scopes: new Set(['admin'] as const), expiresMs }
  }
  const short = await setUp({ authenticate, lookEveryMs: 20 })
  const client = new UllageClient({
    url: await short.app.listen({ port: 0, host: '127.0.0.1' }),
    token: () => `until-${Date.now() + ((issued += 1) === 1 ? 10_000 : 400)}`,
    // The API asks for 2 s.
    fetch: hasteningFetch,
  })
  const { id } = await client.createDump({ guest: 'web-1' })
  short.follow.look = async () => {}
  const states: string[] = []
  const reading = (async () => {
    for await (const { event, data } of client.follow(id, { failures: 2 })) {
      if (event === 'state') states.push(`${data.state} ${data.attempts}`)
    }
  })()
  // The first, the one that begins it, and four that bring nothing.
  await expect.poll(() => issued, { timeout: 20_000 }).toBeGreaterThanOrEqual(6)
  short.journal.change(id, { state: 'running', attempts: 1 })
  await expect.poll(() => issued, { timeout: 20_000 }).toBeGreaterThanOrEqual(8)
  short.journal.change(id, { state: 'failed', finishedMs: 1 })
  await reading
  expect(states).toEqual(['queued 0', 'running 1', 'failed 1'])
  await short.tearDown()
}, 60_000)

const hasteningFetch: typeof fetch = async (input, init) => {
  const answer = await fetch(input, init)
  if (!answer.body || !answer.headers.get('content-type')?.startsWith('text/event-stream')) return answer
  const hasten = new TransformStream<string, string>({
    transform: (text, controller) => controller.enqueue(text.replace('retry: 2000', 'retry: 10')),
  })
  const body = answer.body.pipeThrough(new TextDecoderStream()).pipeThrough(hasten).pipeThrough(new TextEncoderStream())
  return new Response(body, { status: answer.status, headers: answer.headers })
}
