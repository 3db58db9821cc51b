import { startRedisCluster, startRedisSentinels } from '@ullage/lab'
import { afterEach, describe, expect, test } from 'vitest'
import { DOUBLE, expectGoesOn, expectWholeWay, startOn } from './redis-set-checks.ts'
import { type Running, until } from './start-service.ts'

const WATCHED = { ULLAGE_WORKER_LISTEN: '127.0.0.1:0' }

let stack = new AsyncDisposableStack()
afterEach(async () => {
  await stack.disposeAsync()
  stack = new AsyncDisposableStack()
})

async function readinessOf(worker: Running): Promise<{ ready: boolean; reason: string }> {
  const url = /"url":"([^"]+)"/.exec(worker.log())?.[1] ?? ''
  return (await (await fetch(`${url}/readyz`)).json()) as { ready: boolean; reason: string }
}

describe('Sentinel', () => {
  test('the whole way; the master is killed, and dumps go on with the one that takes its place', async () => {
    const { set, service, worker } = await startOn(stack, startRedisSentinels())
    await expectWholeWay(service)
    const [master = 0] = await set.masters()
    await expectGoesOn(service, worker, async () => {
      await set.kill(master)
      await until('there is another master', async () => (await set.masters())[0] !== master)
    })
  })

  test('a replica that may evict takes the place of its master, and the worker says so', async () => {
    const { set, service, worker } = await startOn(stack, startRedisSentinels(), WATCHED)
    expect(await readinessOf(worker)).toEqual({ ready: true, reason: 'ok' })
    const [master = 0] = await set.masters()
    const replica = Number(/port=(\d+)/.exec(await set.ask(master, 'INFO', 'replication'))?.[1])
    await set.ask(replica, 'CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl')
    await set.kill(master)
    await until(
      () => `the worker says so: ${worker.log().slice(-2_000)}`,
      () => worker.log().includes('"policy":"volatile-ttl"'),
      120_000,
    )
    expect(await readinessOf(worker)).toEqual({
      ready: false,
      reason: 'redis may drop jobs and locks: expected maxmemory-policy noeviction, found volatile-ttl',
    })
    await set.ask(replica, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await until('it is ready again', async () => (await readinessOf(worker)).ready, 60_000)
    await expectWholeWay(service)
  })
})

describe('Cluster', () => {
  test('the whole way on three masters, over which hosts are spread', async () => {
    const { set, service } = await startOn(stack, startRedisCluster())
    await expectWholeWay(service)
    for (const host of ['h2', 'h3', 'h4', 'h5']) {
      const env = {
        ULLAGE_HOST_ID: host,
        ULLAGE_STATE_DIR: `${service.folder}/${host}`,
        ULLAGE_GUESTS_DIR: `${service.folder}/${host}-guests`,
      }
      await service.startWorker({ main: DOUBLE, env })
    }
    await until('all hosts are listed', async () => {
      const { items } = (await (await service.request('/v1/hosts')).json()) as { items: { reachable: boolean }[] }
      return items.filter(({ reachable }) => reachable).length === 5
    })
    const ports = await set.masters()
    const held = await Promise.all(
      ports.map(async (port) => (await set.ask(port, 'KEYS', 'ullage-jobs:dump-*')).trim()),
    )
    expect(held.filter((keys) => keys !== '').length).toBeGreaterThan(1)
  })

  test('a worker refuses a Cluster of which one master may drop jobs, and says which', async () => {
    const { set, service } = await startOn(stack, startRedisCluster())
    const port = (await set.masters())[2] ?? 0
    await set.ask(port, 'CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    const refused = service.start(DOUBLE, { ULLAGE_HOST_ID: 'h9', ULLAGE_STATE_DIR: `${service.folder}/other` })
    await until('it ends', () => refused.process.exitCode !== null)
    expect(refused.process.exitCode).toBe(2)
    expect(refused.log()).toContain(`maxmemory-policy noeviction, found allkeys-lru at 127.0.0.1:${port}`)
  })
})
