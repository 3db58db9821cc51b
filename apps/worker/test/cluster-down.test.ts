import { once } from 'node:events'
import { redisAddress } from '@ullage/dump-job'
import { startRedisCluster } from '@ullage/lab'
import { connectSubscriber, openClient } from '@ullage/redis-connection'
import { expect, test } from 'vitest'
import { until } from './start-service.ts'

test('to connect to a Cluster that is down fails, and the client goes on until it is up', async () => {
  await using set = await startRedisCluster()
  using stack = new DisposableStack()
  const first = stack.adopt(openClient(redisAddress.parse(set.url), 'wait'), (client) => client.disconnect())
  // What BullMQ waits for jobs with is made so.
  const redis = stack.adopt(connectSubscriber(first), (client) => client.disconnect())
  for (const client of [first, redis]) client.on('error', () => undefined)
  await until('it is connected', () => redis.status === 'ready')
  const [killed = 0, ...left] = await set.masters()
  await set.kill(killed)
  const isDown = async (port: number) => (await set.ask(port, 'CLUSTER', 'INFO')).includes('cluster_state:fail')
  await until('the Cluster is down', async () => (await Promise.all(left.map(isDown))).every(Boolean))

  const ended = once(redis, 'end')
  redis.disconnect()
  await ended
  await expect(redis.connect()).rejects.toThrow('closed before it was ready')

  for (const port of left) await set.ask(port, 'CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
  await until('it is connected again', () => redis.status === 'ready')
  const answered = await Promise.any(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => redis.set(key, '')))
  expect(answered).toBe('OK')
})

test('a master that takes connections and answers nothing is left for the one that takes its place', async () => {
  await using set = await startRedisCluster({ replicas: true })
  using stack = new DisposableStack()
  const redis = stack.adopt(openClient(redisAddress.parse(set.url), 'wait'), (client) => client.disconnect())
  redis.on('error', () => undefined)
  const keys = Array.from({ length: 30 }, (_, index) => `key-${index}`)
  const write = async () => Promise.all(keys.map((key) => redis.set(key, '')))
  await write()
  const [frozen = 0] = await set.masters()
  const pid = Number(/process_id:(\d+)/.exec(await set.ask(frozen, 'INFO', 'server'))?.[1])
  process.kill(pid, 'SIGSTOP')
  stack.defer(() => process.kill(pid, 'SIGCONT'))
  // Three masters have thirty keys: some are the frozen one's.
  await expect(write()).resolves.toHaveLength(keys.length)
}, 60_000)
