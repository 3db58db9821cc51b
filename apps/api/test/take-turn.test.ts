import { randomUUID } from 'node:crypto'
import { dumpOptions, type Priority, queuePrefix } from '@ullage/dump-job'
import { type LabRedis, startRedis } from '@ullage/lab'
import { openClient, type RedisClient } from '@ullage/redis-connection'
import { Worker } from 'bullmq'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BullQueue } from '../src/bull-queue.ts'
import type { DumpRecord } from '../src/dump-record.ts'

/** A real queue on a real Redis, as the API fills it; a worker that notes what it gets. */
let server: LabRedis
let redis: RedisClient
let queue: BullQueue
beforeAll(async () => {
  server = await startRedis()
  redis = openClient({ path: server.socketPath, db: 0 }, 'fail')
  await new Promise((resolve) => redis.once('ready', resolve))
  queue = new BullQueue(redis, () => undefined)
})
afterAll(async () => {
  await queue?.[Symbol.asyncDispose]()
  redis?.disconnect()
  await server?.[Symbol.asyncDispose]()
})

async function add(host: string, tenant: string, priority: Priority = 'normal'): Promise<void> {
  const options = dumpOptions.parse({ priority })
  // Of a record, the queue reads these.
  const dump = { id: randomUUID(), guest: 'web-1', host, options } as DumpRecord
  await queue.add({ ...dump, tenant })
}

/** The tenants of the next `count` jobs in the order in which a worker gets them. */
async function take(host: string, count: number): Promise<string[]> {
  const taken: string[] = []
  const enough = Promise.withResolvers<void>()
  const worker = new Worker(
    `dump-{${host}}`,
    async (job) => {
      if (taken.push(job.data.tenant) === count) {
        await worker.pause(true)
        enough.resolve()
      }
    },
    { connection: { path: server.socketPath, maxRetriesPerRequest: null }, prefix: queuePrefix },
  )
  await enough.promise
  await worker.close()
  return taken
}

test('with 100 dumps of one tenant waiting, another tenant gets its turn after one of them', async () => {
  for (let i = 0; i < 100; i++) await add('h1', 'many')
  await add('h1', 'one')
  expect(await take('h1', 3)).toEqual(['many', 'one', 'many'])
})

test('tenants with many dumps take turns, and one that comes later does not make up for the time before', async () => {
  for (let i = 0; i < 20; i++) await add('h2', 'a')
  expect(await take('h2', 10)).toEqual(Array(10).fill('a'))
  for (let i = 0; i < 5; i++) await add('h2', 'b')
  expect(await take('h2', 10)).toEqual(['a', 'b', 'a', 'b', 'a', 'b', 'a', 'b', 'a', 'b'])
  expect(await take('h2', 5)).toEqual(Array(5).fill('a'))
})

test('a queue that is empty begins anew, so that turns never come to an end', async () => {
  await add('h3', 'a')
  await add('h3', 'a')
  await take('h3', 2)
  await add('h3', 'a')
  const scores = await redis.zrange('ullage-jobs:dump-{h3}:prioritized', '0', '-1', 'WITHSCORES')
  expect(Math.floor(Number(scores[1]) / 2 ** 32)).toBe(699_051)
})

test('turns are taken within a priority, and a higher one goes first', async () => {
  for (const priority of ['low', 'normal', 'high'] as const) {
    for (const tenant of [`a-${priority}`, `a-${priority}`, `b-${priority}`]) await add('h4', tenant, priority)
  }
  const each = (priority: string) => [`a-${priority}`, `b-${priority}`, `a-${priority}`]
  expect(await take('h4', 9)).toEqual([...each('high'), ...each('normal'), ...each('low')])
})
