import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect } from 'vitest'
import { until } from '../start-service.ts'
import { fault } from './fault.ts'
import { FaultBench } from './fault-bench.ts'

/** The network between worker and Redis breaks for long, or without either being told. Guests are doubles. */
let bench: FaultBench
beforeAll(async () => {
  bench = await FaultBench.start({ guests: 'double', link: true, workerEnv: { ULLAGE_LOCK_SECONDS: '2' } })
})
afterAll(() => bench?.[Symbol.asyncDispose]())

function link() {
  if (!bench.link) throw new Error('this bench has no link')
  return bench.link
}

fault(
  'the link to Redis is cut for longer than a lock lasts',
  () => bench,
  async () => {
    const dump = await bench.dump({ guest: await bench.double('hang', 'succeed') })
    await bench.untilStage(dump, 'write')
    link().cut()
    await delay(4_000)
    link().mend()
    expect(await bench.service.untilState(dump.id, ['succeeded'])).toMatchObject({ attempts: 2 })
  },
)

fault(
  'connections to Redis are forgotten on the way, and new ones work',
  () => bench,
  async () => {
    const dump = await bench.dump({ guest: await bench.double('hang', 'succeed') })
    await bench.untilStage(dump, 'write')
    link().swallow()
    await delay(1_000)
    link().mend()
    await until(
      () => `the worker finds a way to Redis again: ${bench.worker.log().slice(-3_000)}`,
      async () => (await bench.service.show(dump.id)).state === 'succeeded',
      60_000,
    )
  },
)
