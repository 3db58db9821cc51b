import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect } from 'vitest'
import { until } from '../start-service.ts'
import { fault } from './fault.ts'
import { FaultBench } from './fault-bench.ts'

/** Redis stands still for long, or again and again, while a dump waits and another is made. Guests are doubles. */
let bench: FaultBench
beforeAll(async () => {
  bench = await FaultBench.start({ guests: 'double', workerEnv: { ULLAGE_LOCK_SECONDS: '2' } })
})
afterAll(() => bench?.[Symbol.asyncDispose]())

fault(
  'Redis pauses its clients (CLIENT PAUSE) for longer than a lock lasts',
  () => bench,
  async () => {
    const { running, queued } = await bench.oneRunningOneQueued('slow', 'succeed')
    await bench.redis.ask((client) => client.call('CLIENT', 'PAUSE', '5000', 'ALL'))
    await bench.service.untilState(running.id, ['succeeded'])
    await bench.service.untilState(queued.id, ['succeeded'])
  },
)

fault(
  'Redis is away for longer than a lock lasts, twice',
  () => bench,
  async () => {
    const { running } = await bench.oneRunningOneQueued('hang')
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
    const { state, failure } = await bench.service.untilState(running.id, ['failed'])
    expect({ state, failure }).toMatchObject({
      state: 'failed',
      failure: { code: 'WORKER_LOST', message: expect.stringContaining('out of reach of Redis') },
    })
  },
)

fault(
  'Redis stands still for 2 minutes',
  () => bench,
  async () => {
    const { running, queued } = await bench.oneRunningOneQueued('slow', 'succeed')
    bench.redis.freeze()
    await delay(120_000)
    bench.redis.thaw()
    await bench.service.untilState(running.id, ['succeeded'])
    await bench.service.untilState(queued.id, ['succeeded'])
  },
)
