import { startRedisCluster } from '@ullage/lab'
import { test } from 'vitest'
import { expectGoesOn, startOn } from './redis-set-checks.ts'
import { until } from './start-service.ts'

test('masters of a Cluster are killed, and dumps go on with their replicas', async () => {
  await using stack = new AsyncDisposableStack()
  const { set, service, worker } = await startOn(stack, startRedisCluster({ replicas: true }))
  // Whichever has the host's queue is among them.
  for (const master of await set.masters()) {
    await expectGoesOn(service, worker, async () => {
      await set.kill(master)
      await until('a replica takes its place', async () => (await set.masters()).length === 3, 120_000)
    })
  }
})
