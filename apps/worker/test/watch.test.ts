import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Running, Service, until } from './start-service.ts'

/** How a real worker is watched from outside, while its Redis comes and goes. */
const DOUBLE = new URL('./double-worker.ts', import.meta.url)

let service: Service
let worker: Running
let url: string

beforeAll(async () => {
  service = await Service.start()
  service.describeDouble('ok', 'succeed')
  service.describeDouble('old', 'unsupported')
  worker = await service.startWorker({ main: DOUBLE, env: { ULLAGE_WORKER_LISTEN: '127.0.0.1:0' } })
  url = /"url":"([^"]+)"/.exec(worker.log())?.[1] ?? ''
})
afterAll(async () => {
  await service[Symbol.asyncDispose]()
})

const status = async (path: string) => (await fetch(`${url}${path}`)).status
const metrics = async () => (await fetch(`${url}/metrics`)).text()

test('what it did is in its figures', async () => {
  for (const guest of ['ok', 'old']) {
    const { id } = await service.dump({ guest })
    await until('the dump has ended', async () => (await service.show(id)).finishedAt !== null)
  }
  const text = await metrics()
  expect(text).toContain('ullage_worker_attempts_total{outcome="succeeded",code=""} 1\n')
  expect(text).toMatch(/ullage_worker_attempts_total\{outcome="failed",code="UNSUPPORTED[A-Z_]*"\} 1\n/)
  expect(text).toContain('ullage_worker_phase_seconds_count{phase="verify"} 1\n')
  expect(text).toContain('ullage_worker_consuming 1\n')
  expect([await status('/healthz'), await status('/readyz'), await status('/etc')]).toEqual([200, 200, 404])
})

test('a redis that is away makes it unready, not dead, and it is ready when redis is back', async () => {
  process.kill(service.redis.pid, 'SIGSTOP')
  try {
    await until('the worker is unready', async () => (await status('/readyz')) === 503, 40_000)
    expect(await status('/healthz')).toBe(200)
    expect(await metrics()).toContain('ullage_worker_consuming 0\n')
  } finally {
    process.kill(service.redis.pid, 'SIGCONT')
  }
  await until('the worker is ready', async () => (await status('/readyz')) === 200, 40_000)
})

test('a redis that is full makes worker and API unready, not dead, and they are ready when it takes writes again', async () => {
  const redis = new Redis(service.redis.socketPath)
  const apiReadiness = async () => (await service.request('/readyz')).json()
  try {
    await redis.config('SET', 'maxmemory', '1')
    await until('the API is unready', async () => (await service.request('/readyz')).status === 503, 40_000)
    expect(await apiReadiness()).toEqual({ ready: false, journal: 'ok', queue: 'redis takes no writes (OOM)' })
    expect(await (await service.request('/metrics')).text()).toContain('ullage_redis_refuses_writes 1\n')
    await until('the worker is unready', async () => (await status('/readyz')) === 503, 40_000)
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({
      ready: false,
      reason: expect.stringMatching(/^redis takes no writes \(OOM\): the heartbeat was not written for \d+ s$/),
    })
    expect(await status('/healthz')).toBe(200)
    expect(await metrics()).toContain('ullage_worker_consuming 0\n')
    // Each second it is tried, once it is said.
    expect(worker.log().match(/the heartbeat failed/g)).toHaveLength(1)
  } finally {
    await redis.config('SET', 'maxmemory', '0')
    redis.disconnect()
  }
  await until('both are ready', async () => {
    return (await status('/readyz')) === 200 && (await service.request('/readyz')).status === 200
  })
  expect(await (await service.request('/metrics')).text()).toContain('ullage_redis_refuses_writes 0\n')
  const { id } = await service.dump({ guest: 'ok' })
  await service.untilState(id, ['succeeded'])
})

test('a redis that is told to evict makes it unready while it does, and dumps are made all the same', async () => {
  const redis = new Redis(service.redis.socketPath)
  try {
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await until('the worker is unready', async () => (await status('/readyz')) === 503, 40_000)
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({
      ready: false,
      reason: 'redis may drop jobs and locks: expected maxmemory-policy noeviction, found allkeys-lru',
    })
    const figures = await metrics()
    expect(figures).toContain('ullage_worker_redis_may_evict 1\n')
    // It takes jobs all the same.
    expect(figures).toContain('ullage_worker_consuming 1\n')
    expect(await status('/healthz')).toBe(200)
    expect(worker.log()).toContain('"policy":"allkeys-lru","msg":"redis may drop jobs and locks: expected noeviction"')
    const { id } = await service.dump({ guest: 'ok' })
    await service.untilState(id, ['succeeded'])
  } finally {
    await redis.config('SET', 'maxmemory-policy', 'noeviction')
    redis.disconnect()
  }
  await until('the worker is ready', async () => (await status('/readyz')) === 200, 40_000)
  expect(await metrics()).toContain('ullage_worker_redis_may_evict 0\n')
  expect(worker.log()).toContain('redis keeps jobs and locks again')
})

test('a host that is drained is ready for what is asked of it, and so it is when the drain ends', async () => {
  const drain = async (method: string) =>
    expect((await service.request('/v1/hosts/h1/drain', { method })).status).toBe(200)
  await drain('PUT')
  await until('the worker has stopped taking dumps', () => worker.log().includes('no dump is begun'))
  expect([await status('/healthz'), await status('/readyz')]).toEqual([200, 200])
  await drain('DELETE')
  await until('the worker takes dumps again', () => worker.log().includes('dumps are begun again'))
  const { id } = await service.dump({ guest: 'ok' })
  await service.untilState(id, ['succeeded'])
  expect([await status('/healthz'), await status('/readyz')]).toEqual([200, 200])
  expect(worker.log()).not.toContain('no longer read')
})

test('a worker that waits for redis is alive and not ready, and ready once redis answers', async () => {
  const env = {
    ULLAGE_HOST_ID: 'h2',
    ULLAGE_STATE_DIR: join(service.folder, 'h2'),
    ULLAGE_WORKER_LISTEN: '127.0.0.1:0',
  }
  process.kill(service.redis.pid, 'SIGSTOP')
  let waits: Running
  let at = ''
  const readiness = async () => (await fetch(`${at}/readyz`)).status
  try {
    waits = service.start(DOUBLE, env)
    await until('it is served', () => {
      at = /"url":"([^"]+)"/.exec(waits.log())?.[1] ?? ''
      return at !== ''
    })
    expect([(await fetch(`${at}/healthz`)).status, await readiness()]).toEqual([200, 503])
    expect(await (await fetch(`${at}/metrics`)).text()).toContain('ullage_worker_consuming 0\n')
    expect(waits.log()).not.toContain('worker ready')
  } finally {
    process.kill(service.redis.pid, 'SIGCONT')
  }
  await until('it is ready', async () => (await readiness()) === 200)
  await waits.kill('SIGTERM')
})

test('a worker that is started while redis is full waits for room, says so, and then makes what waits', async () => {
  const folder = join(service.folder, 'h3')
  const guests = join(folder, 'guests')
  mkdirSync(guests, { recursive: true })
  const guest = { backend: 'test-double', attempts: ['hang', 'succeed'], counter: join(folder, 'attempts') }
  writeFileSync(join(guests, 'h3-guest.json'), JSON.stringify(guest))
  const env = {
    ULLAGE_HOST_ID: 'h3',
    ULLAGE_STATE_DIR: folder,
    ULLAGE_GUESTS_DIR: guests,
    ULLAGE_WORKER_LISTEN: '127.0.0.1:0',
  }
  const redis = new Redis(service.redis.socketPath)
  let started = service.start(DOUBLE, env)
  const readiness = async () => {
    const [, at] = /"url":"([^"]+)"/.exec(started.log()) ?? []
    return at === undefined ? '' : ((await (await fetch(`${at}/readyz`)).json()) as { reason: string }).reason
  }
  const startFull = async () => {
    await redis.config('SET', 'maxmemory', '1')
    started = service.start(DOUBLE, env)
    await until(
      () => `the worker says why: ${started.log()}`,
      async () => (await readiness()) === 'it takes no jobs yet: redis takes no writes (OOM)',
    )
    // Each second it is tried, once it is said.
    await delay(2_500)
    expect(started.log().match(/redis takes no writes/g)).toHaveLength(1)
    expect(started.log()).not.toContain('"msg":"queue"')
    expect(started.process.exitCode).toBeNull()
    await redis.config('SET', 'maxmemory', '0')
    await until('the worker is ready', async () => (await readiness()) === 'ok')
  }
  try {
    await until('it is ready', async () => (await readiness()) === 'ok')
    const { id } = await service.dump({ guest: 'h3-guest' })
    await until('it is made', async () => (await service.show(id)).progress?.stage === 'write')
    // What it made is in the queue as running: the next start takes it back first.
    await started.kill('SIGKILL')
    await startFull()
    await service.untilState(id, ['succeeded'])
    await started.kill('SIGTERM')
    expect(started.process.exitCode).toBe(0)
    await startFull()
    await started.kill('SIGTERM')
  } finally {
    await redis.config('SET', 'maxmemory', '0')
    redis.disconnect()
  }
})

test('a worker that cannot be watched where it should be begins no dump', async () => {
  await worker.kill('SIGTERM')
  service.describeDouble('waits', 'hang')
  const { port } = new URL(service.url)
  worker = await service.startWorker({ main: DOUBLE })
  const { id } = await service.dump({ guest: 'waits' })
  await service.untilState(id, ['running'])
  await worker.kill('SIGKILL')
  const busy = service.start(DOUBLE, { ULLAGE_HOST_ID: 'h1', ULLAGE_WORKER_LISTEN: `127.0.0.1:${port}` })
  await until('it ends', () => busy.process.exitCode !== null)
  expect([busy.process.exitCode, busy.log()]).toEqual([2, expect.stringContaining('ULLAGE_WORKER_LISTEN')])
  expect(busy.log()).not.toContain('dump begins')
})
