import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { type Running, Service, until } from './start-service.ts'

/** Hosts that go, come back, are drained and forgotten, and whose turn it is; only the engine is a double. */
const DOUBLE = new URL('./double-worker.ts', import.meta.url)

let service: Service
let redis: Redis
let worker: Running
beforeAll(async () => {
  service = await Service.start()
  redis = new Redis({ path: service.redis.socketPath, maxRetriesPerRequest: null })
  for (const name of ['ok', 'ok-2', 'ok-3']) service.describeDouble(name, 'succeed')
  service.describeDouble('hang', 'hang')
  service.describeDouble('hang-once', 'hang', 'succeed')
  worker = await startWorker()
})
afterAll(async () => {
  redis?.disconnect()
  await service?.[Symbol.asyncDispose]()
})

function startWorker(env: Record<string, string> = {}): Promise<Running> {
  return service.startWorker({ main: DOUBLE, env: { ULLAGE_SHUTDOWN_SECONDS: '1', ...env } })
}

const list = z.object({ items: z.array(z.looseObject({})) })
const get = async (path: string) => (await service.request(path)).json() as Promise<Record<string, unknown>>
const hosts = async () => list.parse(await get('/v1/hosts')).items

async function commandsDuring(act: () => Promise<unknown>): Promise<number> {
  const count = async () => Number(/total_commands_processed:(\d+)/.exec(await redis.info('stats'))?.[1])
  const before = await count()
  await act()
  return (await count()) - before - 1
}

test('a worker that is gone: host, guests and dumps say so, and its return ends that', async () => {
  const dump = await service.dump({ guest: 'hang-once' })
  await until('it is at work', async () => (await service.show(dump.id)).progress !== null)
  expect(dump.hostUnreachable).toBe(false)
  await worker.kill('SIGKILL', 'group')
  expect(await redis.pttl('ullage:alive:{h1}')).toBeLessThanOrEqual(30_000)
  expect(await redis.pttl('ullage:alive:{h1}')).toBeGreaterThan(20_000)
  // The 30 s pass.
  await redis.pexpire('ullage:alive:{h1}', 1)
  await until('the dump says so', async () => (await service.show(dump.id)).hostUnreachable)
  expect(await hosts()).toMatchObject([{ host: 'h1', reachable: false }])
  expect(await get('/v1/guests/ok')).toMatchObject({ reachable: false })
  const refused = await service.post({ guest: 'ok' })
  expect(refused.status).toBe(503)
  expect(await refused.json()).toMatchObject({ code: 'HOST_UNREACHABLE' })
  const { revision } = await service.show(dump.id)
  worker = await startWorker()
  const done = await service.untilState(dump.id, ['succeeded'])
  expect(done).toMatchObject({ hostUnreachable: false, attempts: 2 })
  expect(done.revision).toBeGreaterThan(revision)
})

test('a drained host finishes what runs and begins nothing, also after its worker started again, until it is to', async () => {
  const running = await service.dump({ guest: 'hang' })
  await service.untilState(running.id, ['running'])
  const queued = await service.dump({ guest: 'ok' })
  const answer = await service.request('/v1/hosts/h1/drain', { method: 'PUT' })
  expect(answer.status).toBe(200)
  const { drainingSince } = (await answer.json()) as { drainingSince: string }
  expect(Date.parse(drainingSince)).toBeGreaterThan(Date.now() - 60_000)
  expect(await hosts()).toMatchObject([{ host: 'h1', reachable: true, drainingSince }])
  const again = await service.request('/v1/hosts/h1/drain', { method: 'PUT' })
  expect(await again.json()).toMatchObject({ drainingSince })
  await until('the worker knows', () => worker.log().includes('no dump is begun'))

  const refused = await service.post({ guest: 'ok-2' })
  expect(refused.status).toBe(503)
  expect(await refused.json()).toMatchObject({ code: 'HOST_DRAINING' })
  expect((await service.request('/v1/guests/ok/pages')).status).toBe(200)
  expect(await service.show(running.id)).toMatchObject({ state: 'running' })
  await service.request(running.links.self, { method: 'DELETE' })
  await service.untilState(running.id, ['cancelled'])
  await worker.kill('SIGTERM')
  worker = await startWorker()
  expect(worker.log()).toContain('no dump is begun')
  await until('it is reachable', async () => (await hosts())[0]?.['reachable'] === true)
  expect(await service.show(queued.id)).toMatchObject({ state: 'queued', attempts: 0 })

  expect((await service.request('/v1/hosts/h1/drain', { method: 'DELETE' })).status).toBe(200)
  await service.untilState(queued.id, ['succeeded'])
  expect(await hosts()).toMatchObject([{ drainingSince: null }])
  expect((await service.request('/v1/hosts/h99/drain', { method: 'PUT' })).status).toBe(404)
})

test('a dump that is to be tried again waits as long as its host is drained', async () => {
  service.describeDouble('later', 'unavailable', 'succeed')
  await until('it is announced', async () => (await service.request('/v1/guests/later')).status === 200)
  const dump = await service.dump({ guest: 'later' })
  await until('its first attempt has failed', () => worker.log().includes('the double is away'))
  await service.request('/v1/hosts/h1/drain', { method: 'PUT' })
  // The second attempt is due after 2 s, and has been asked for by then.
  await delay(6_000)
  expect(await service.show(dump.id)).toMatchObject({ state: 'queued' })
  const beginnings = () => worker.log().match(new RegExp(`"job":"${dump.id}"[^\n]*"dump begins"`, 'g'))?.length
  expect(beginnings()).toBe(1)
  await service.request('/v1/hosts/h1/drain', { method: 'DELETE' })
  await service.untilState(dump.id, ['succeeded'])
  expect(beginnings()).toBe(2)
})

test('a guest whose descriptor is gone is gone', async () => {
  service.describeDouble('brief', 'succeed')
  await until('it is announced', async () => (await service.request('/v1/guests/brief')).status === 200)
  rmSync(join(service.guestsDir, 'brief.json'))
  await until('it is gone', async () => (await service.request('/v1/guests/brief')).status === 404)
  expect((await service.post({ guest: 'brief' })).status).toBe(404)
  await until('the index has forgotten it', async () => (await redis.exists('ullage:guest:brief')) === 0)
})

test('a Redis that was emptied knows hosts and guests again with the next heartbeat', async () => {
  await redis.flushall()
  await until('the guest is known', async () => (await service.request('/v1/guests/ok')).status === 200)
  const dump = await service.dump({ guest: 'ok' })
  await service.untilState(dump.id, ['succeeded'])
})

test('asking for a dump costs the same however many hosts there are; two that announce a guest are noticed', async () => {
  const say = async (host: string, guests: string[], alive: boolean) => {
    const announced = guests.map((id) => ({ id, backend: 'test-double', problem: null }))
    const instance = '3b241101-e2bb-4255-8caf-4136c566a962'
    const startedAt = new Date().toISOString()
    await redis.set(
      `ullage:host:{${host}}`,
      JSON.stringify({ host, instance, startedAt, concurrency: 1, guests: announced }),
    )
    await redis.sadd('ullage:hosts', host)
    for (const guest of guests) await redis.sadd(`ullage:guest:${guest}`, host)
    if (alive) await redis.set(`ullage:alive:{${host}}`, instance)
  }
  // Refused once the guest is found, so that only the looking is counted.
  const ask = () => service.post({ guest: 'not-here' })
  const few = await commandsDuring(ask)
  for (let i = 0; i < 200; i++) await say(`x${i}`, [`x-guest-${i}`], true)
  expect(Math.abs((await commandsDuring(ask)) - few)).toBeLessThan(20)

  await say('x-other', ['ok-3'], true)
  const ambiguous = await service.post({ guest: 'ok-3' })
  expect(ambiguous.status).toBe(409)
  expect(await ambiguous.json()).toMatchObject({ code: 'GUEST_AMBIGUOUS' })
  // What the index says is no word of the host.
  await say('x-other', [], true)
  const dump = await service.dump({ guest: 'ok-3' })
  await service.untilState(dump.id, ['succeeded'])

  await redis.del('ullage:host:{x-other}')
  await until(
    'a host that is forgotten is listed no more',
    async () => !(await hosts()).some(({ host }) => host === 'x-other'),
  )
  expect(await redis.sismember('ullage:hosts', 'x-other')).toBe(0)
})

test('how long a host is remembered is a setting', async () => {
  const guestsDir = join(service.folder, 'guests-2')
  mkdirSync(guestsDir)
  writeFileSync(
    join(guestsDir, 'far.json'),
    JSON.stringify({ backend: 'test-double', attempts: ['succeed'], counter: 'x' }),
  )
  const env = { ULLAGE_HOST_ID: 'h2', ULLAGE_STATE_DIR: join(service.folder, 'state-2'), ULLAGE_GUESTS_DIR: guestsDir }
  const other = await startWorker({ ...env, ULLAGE_FORGET_HOST_DAYS: '2' })
  const days = async (key: string) => (await redis.pttl(key)) / (24 * 3600 * 1000)
  expect(await days('ullage:host:{h2}')).toBeCloseTo(2, 2)
  expect(await days('ullage:guest:far')).toBeCloseTo(2, 2)
  await other.kill('SIGTERM')
})

test('a waiting dump of high priority goes before those of normal and low', async () => {
  const busy = await service.dump({ guest: 'hang' })
  await service.untilState(busy.id, ['running'])
  const order = [
    await service.dump({ guest: 'ok', priority: 'low' }),
    await service.dump({ guest: 'ok-2' }),
    await service.dump({ guest: 'ok-3', priority: 'high' }),
  ]
  expect(order.map(({ options }) => options.priority)).toEqual(['low', 'normal', 'high'])
  await service.request(busy.links.self, { method: 'DELETE' })
  const done = await Promise.all(order.map(({ id }) => service.untilState(id, ['succeeded'])))
  const [low = '', normal = '', high = ''] = done.map(({ startedAt }) => startedAt ?? '')
  expect(high < normal && normal < low).toBe(true)
})
