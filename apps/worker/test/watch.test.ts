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
