import { setTimeout as delay } from 'node:timers/promises'
import { connectRedis } from '@ullage/redis-connection'
import { redisAddress } from '@ullage/dump-job'
import { startRedisCluster } from '@ullage/lab'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { writeProbeOf } from '../src/write-probe.ts'

test('a Cluster takes writes when each of its masters does', async () => {
  await using stack = new AsyncDisposableStack()
  const set = stack.use(await startRedisCluster())
  const connection = stack.use(
    connectRedis(redisAddress.parse(set.url), { whileAway: 'fail', log: pino({ level: 'silent' }) }),
  )
  await connection.ready()
  const probe = writeProbeOf(connection.redis)
  expect(await probe()).toBeUndefined()
  for (const port of await set.masters()) {
    expect((await set.ask(port, 'KEYS', 'ullage:write-probe*')).trim()).toMatch(/^ullage:write-probe:\{\d+\}$/)
    await set.ask(port, 'CONFIG', 'SET', 'maxmemory', '1')
    await delay(200)
    expect(await probe(), `${port}`).toBe('OOM')
    await set.ask(port, 'CONFIG', 'SET', 'maxmemory', '0')
    expect(await probe(), `${port}`).toBeUndefined()
  }
})
