import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { reclaimJobs } from '../src/reclaim-jobs.ts'
import { isAlive, type Running, Service, until } from './start-service.ts'

/** Whatever Redis believes: one process at a guest, one publication, and jobs taken back from the dead alone. */
const DOUBLE = new URL('./double-worker.ts', import.meta.url)

let service: Service
let redis: Redis
beforeEach(async () => {
  service = await Service.start()
  redis = new Redis({ path: service.redis.socketPath, maxRetriesPerRequest: null })
})
afterEach(async () => {
  redis.disconnect()
  await service[Symbol.asyncDispose]()
})

function startWorker(env: Record<string, string> = {}): Promise<Running> {
  return service.startWorker({ main: DOUBLE, env: { ULLAGE_CONCURRENCY: '3', ULLAGE_SHUTDOWN_SECONDS: '1', ...env } })
}

/** How many attempts at this guest have come as far as to touch it. */
function touched(guest: string): number {
  const path = join(service.folder, `${guest}.attempts`)
  return existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0
}

/** Waits until the first process at this guest is gone, which no other one may touch before. */
async function untouchedUntilGone(pid: number, guest: string): Promise<void> {
  await until(`process ${pid} is gone`, () => {
    const attempts = touched(guest)
    const alive = isAlive(pid)
    if (alive) expect(attempts).toBe(1)
    return !alive
  })
}

/** Process id of the first dump process that this worker started for the dump. */
function childOf(worker: Running, dump: string): number {
  const started = worker
    .log()
    .split('\n')
    .find((line) => line.includes(dump) && line.includes('dump process started'))
  return Number(/"pid":(\d+)/.exec(started ?? '')?.[1])
}

test('kill -9 of a worker whose locks last for long: the next one has its job again at once', async () => {
  service.describeDouble('hang-once', 'hang', 'succeed')
  const lasting = { ULLAGE_LOCK_SECONDS: '600' }
  const first = await startWorker(lasting)
  const dump = await service.dump({ guest: 'hang-once' })
  await until('it is at work', () => touched('hang-once') === 1)
  await first.kill('SIGKILL', 'group')
  const second = await startWorker(lasting)
  expect(second.log()).toContain('taken back from a worker of this host that died')
  const ready = performance.now()
  expect(await service.untilState(dump.id, ['succeeded'])).toMatchObject({ attempts: 2 })
  expect(performance.now() - ready).toBeLessThan(10_000)
})

test('a job is taken back from the workers that are named, not from others', async () => {
  const options = { connection: redis, prefix: 'ullage-jobs' }
  const queue = new Queue('dump-{h7}', options)
  const held = Promise.withResolvers<void>()
  const worker = new Worker(queue.name, () => held.promise, { ...options, lockDuration: 600_000 })
  const job = await queue.add('dump', {})
  await until('it is active', async () => (await job.getState()) === 'active')
  const lock = `ullage-jobs:${queue.name}:${job.id}:lock`
  expect(await reclaimJobs(redis, queue.name, [])).toEqual([])
  expect(await reclaimJobs(redis, queue.name, [randomUUID(), worker.id.slice(0, -1)])).toEqual([])
  expect(await redis.get(lock)).toMatch(worker.id)
  expect(await reclaimJobs(redis, queue.name, [randomUUID(), worker.id])).toEqual([job.id])
  expect(await redis.exists(lock)).toBe(0)
  held.resolve()
  await worker.close()
  await queue.close()
})

test('a worker of the same host with another state folder is refused', async () => {
  await startWorker()
  const second = service.start(DOUBLE, { ULLAGE_HOST_ID: 'h1', ULLAGE_STATE_DIR: join(service.folder, 'state-2') })
  await until('it ends', () => second.process.exitCode !== null)
  expect(second.process.exitCode).toBe(2)
  expect(second.log()).toContain('expected to be the only worker of host h1 with the locks in')
})

test('a lock is lost while a dump process does not listen: the next attempt waits until that process is gone', async () => {
  service.describeDouble('blocks', 'block', 'succeed')
  const worker = await startWorker()
  const dump = await service.dump({ guest: 'blocks' })
  await until('it is at work', () => touched('blocks') === 1)
  const child = childOf(worker, dump.id)
  await redis.del(`ullage-jobs:dump-{h1}:${dump.id}:lock`)
  await until('another attempt has begun', async () => (await service.show(dump.id)).attempts > 1)
  await untouchedUntilGone(child, 'blocks')
  await service.untilState(dump.id, ['succeeded'])
  expect(service.files().sort()).toEqual([`${dump.id}/report.json`, `${dump.id}/vmcore`])
})

test('two workers that share neither state nor artifacts, one of them stopped: one process at a time, one publication', async () => {
  service.describeDouble('long', 'long', 'succeed')
  const first = await startWorker()
  const dump = await service.dump({ guest: 'long' })
  await until('it is at work', () => touched('long') === 1)
  const child = childOf(first, dump.id)
  process.kill(first.pid, 'SIGSTOP')
  const others = {
    ULLAGE_STATE_DIR: join(service.folder, 'state-2'),
    ULLAGE_ARTIFACTS_DIR: join(service.folder, 'other'),
  }
  mkdirSync(others.ULLAGE_ARTIFACTS_DIR)
  await startWorker(others)
  await until(
    'the other worker has begun it',
    async () => Number(await redis.hget(`ullage-jobs:dump-{h1}:${dump.id}`, 'ats')) > 1,
  )
  await untouchedUntilGone(child, 'long')
  await service.untilState(dump.id, ['succeeded'])
  expect(touched('long')).toBe(2)
  process.kill(first.pid, 'SIGCONT')
  await until(
    () => `the first attempt ends: ${first.log().slice(-3_000)}`,
    () => first.log().includes('LOCK_LOST'),
  )
  expect(service.files()).toEqual([])
  expect(readdirSync(join(others.ULLAGE_ARTIFACTS_DIR, dump.id)).sort()).toEqual(['report.json', 'vmcore'])
})
