import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  cancelKey,
  controlChannel,
  dumpJob,
  dumpOptions,
  dumpQueueName,
  publishedFiles,
  queuePrefix,
} from '@ullage/dump-job'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Running, Service, until } from './start-service.ts'

/** A worker whose folder of artifacts hangs. */
const DOUBLE = new URL('./double-worker.ts', import.meta.url)

let service: Service
let worker: Running
let redis: Redis
let queue: Queue
let monitor: ChildProcess
/** What Redis was asked for. */
let asked = ''

beforeAll(async () => {
  service = await Service.start()
  service.describeDouble('ok', 'succeed')
  worker = await service.startWorker({
    main: DOUBLE,
    env: { ULLAGE_CONCURRENCY: '3', ULLAGE_SHUTDOWN_SECONDS: '1' },
  })
  redis = new Redis(service.redis.socketPath, { maxRetriesPerRequest: null })
  queue = new Queue(dumpQueueName('h1'), { connection: redis as never, prefix: queuePrefix })
  monitor = spawn('redis-cli', ['-s', service.redis.socketPath, 'monitor'], { stdio: ['ignore', 'pipe', 'ignore'] })
  monitor.stdout?.on('data', (text: Buffer) => {
    asked += text.toString()
  })
  await until('it is told what Redis is asked for', () => asked.startsWith('OK'))
})
afterAll(async () => {
  monitor.kill()
  await queue.close()
  redis.disconnect()
  await service[Symbol.asyncDispose]()
})

/** Asks for a dump whose report takes as long to open as on a file system that hangs; resolves when that is next. */
async function beginHung(): Promise<string> {
  const dump = randomUUID()
  mkdirSync(join(service.artifactsDir, dump))
  execFileSync('mkfifo', [join(service.artifactsDir, dump, publishedFiles.report)])
  const options = dumpOptions.parse({})
  const data = dumpJob.parse({ schema: 'ullage.job/1', dump, guest: 'ok', tenant: null, options })
  await queue.add('dump', data, { jobId: dump })
  // An attempt looks whether it is cancelled, renews its lock, and opens the report.
  const renewed = new RegExp(`"eval(?:sha)?" "[^"]+" "2" "[^"]*${dump}:lock"`, 'i')
  await until('its lock is renewed', () => renewed.test(asked))
  return dump
}

async function cancel(dump: string): Promise<void> {
  await redis.set(cancelKey(dump), '1')
  await redis.publish(controlChannel('h1'), JSON.stringify({ cancel: dump }))
}

test('attempts that wait for a folder which hangs hear of a cancel at once, each once', async () => {
  const dumps = [await beginHung(), await beginHung(), await beginHung()]
  const begun = performance.now()
  for (const dump of dumps) {
    await cancel(dump)
    await cancel(dump)
  }
  await until('all have ended', async () => {
    const states = await Promise.all(dumps.map((dump) => queue.getJobState(dump)))
    return states.every((state) => state === 'failed')
  })
  expect(performance.now() - begun).toBeLessThan(5_000)
  const orders = worker
    .log()
    .split('\n')
    .filter((line) => line.includes('cancelled on request'))
  expect(orders).toHaveLength(3)
  expect((await queue.getJob(dumps[0] ?? ''))?.failedReason).toContain('CANCELLED')
})

test('a dump that cannot be begun fails with a reason, and the worker is there all the same', async () => {
  const failed = await service.dump({ guest: 'ok' })
  const { failure } = await service.untilState(failed.id, ['failed'], 90_000)
  expect(failure).toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect(await (await service.request('/v1/guests')).json()).toMatchObject({ items: [{ id: 'ok', reachable: true }] })
})

test('SIGTERM ends the worker in time, though calls of the folder are never answered', async () => {
  const told = performance.now()
  await worker.kill('SIGTERM')
  expect(performance.now() - told).toBeLessThan(10_000)
  expect(worker.process.exitCode).toBe(0)
  expect(worker.log()).not.toContain('did not end in time')
})
