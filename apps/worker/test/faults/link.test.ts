import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll } from 'vitest'
import { fault } from './fault.ts'
import { FaultBench } from './fault-bench.ts'

/** The network between worker and Redis breaks. Guests are doubles. */
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
  'the link to Redis is cut while a dump ends',
  () => bench,
  async () => {
    const dump = await bench.dump({ guest: await bench.double('slow', 'succeed') })
    await bench.untilStage(dump, 'write')
    link().cut()
    await delay(4_000)
    link().mend()
    await bench.service.untilState(dump.id, ['succeeded'])
  },
)
