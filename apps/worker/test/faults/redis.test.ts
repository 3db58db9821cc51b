import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect } from 'vitest'
import { until } from '../start-service.ts'
import { fault } from './fault.ts'
import { FaultBench } from './fault-bench.ts'

/** Redis dies, forgets or stands still while dumps wait and while one is made. Guests are doubles. */
let bench: FaultBench
beforeAll(async () => {
  bench = await FaultBench.start({ guests: 'double', appendOnly: false, workerEnv: { ULLAGE_LOCK_SECONDS: '2' } })
})
afterAll(() => bench?.[Symbol.asyncDispose]())

/** One dump that a worker makes, and one that waits behind it. */
async function oneRunningOneQueued(...attempts: string[]) {
  const probe = { guest: await bench.double('succeed') }
  const running = await bench.dump({ guest: await bench.double(...attempts) })
  await bench.untilStage(running, 'write')
  const queued = await bench.dump({ guest: await bench.double('succeed') })
  return { probe, running, queued }
}

fault(
  'FLUSHALL while a dump is made and another is queued',
  () => bench,
  async () => {
    const { probe, running, queued } = await oneRunningOneQueued('slow')
    await bench.redis.flush()
    await bench.service.untilState(queued.id, ['succeeded'])
    const { state } = await bench.service.untilState(running.id, ['lost', 'succeeded'])
    expect(state).toBe('lost')
    return { probe }
  },
)

fault(
  'kill -9 of Redis, without an append-only file',
  () => bench,
  async () => {
    const { probe, running, queued } = await oneRunningOneQueued('slow')
    await bench.redis.kill()
    await bench.redis.revive()
    await bench.service.untilState(queued.id, ['succeeded'])
    await bench.service.untilState(running.id, ['lost', 'succeeded'])
    return { probe }
  },
)

fault(
  'Redis stands still (SIGSTOP) for longer than a lock lasts',
  () => bench,
  async () => {
    const { probe, running, queued } = await oneRunningOneQueued('slow', 'succeed')
    bench.redis.freeze()
    await delay(5_000)
    bench.redis.thaw()
    await bench.service.untilState(running.id, ['succeeded'])
    await bench.service.untilState(queued.id, ['succeeded'])
    return { probe }
  },
)

fault(
  'Redis pauses its clients (CLIENT PAUSE) for longer than a lock lasts',
  () => bench,
  async () => {
    const { probe, running, queued } = await oneRunningOneQueued('slow', 'succeed')
    await bench.redis.ask((client) => client.call('CLIENT', 'PAUSE', '5000', 'ALL'))
    await bench.service.untilState(running.id, ['succeeded'])
    await bench.service.untilState(queued.id, ['succeeded'])
    return { probe }
  },
)

fault(
  'Redis is away for longer than a lock lasts, twice',
  () => bench,
  async () => {
    const { probe, running } = await oneRunningOneQueued('hang', 'hang', 'succeed')
    for (const attempts of [1, 2]) {
      await until('it is made', async () => {
        const { state, attempts: begun } = await bench.service.show(running.id)
        return state === 'running' && begun >= attempts
      })
      bench.redis.freeze()
      await delay(4_000)
      bench.redis.thaw()
      await until('the attempt was ended', async () => {
        const dump = await bench.service.show(running.id)
        return dump.attempts > attempts || dump.state !== 'running'
      })
    }
    const { state, failure } = await bench.service.untilState(running.id, ['succeeded', 'failed'])
    if (state === 'failed') expect(failure?.message).not.toMatch(/the worker died/)
    return { probe }
  },
)
