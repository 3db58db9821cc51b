import { afterAll, beforeAll, expect } from 'vitest'
import { until } from '../start-service.ts'
import { fault } from './fault.ts'
import { FaultBench } from './fault-bench.ts'

/** A thousand dumps wait for one worker, which dies in the midst of them; many are cancelled then. Guests are doubles. */
const DUMPS = 1_000
const CANCELLED = 800
const AT_A_TIME = 20
const ALL_WITHIN_MS = 400_000

let bench: FaultBench
beforeAll(async () => {
  bench = await FaultBench.start({ guests: 'double', workerEnv: { ULLAGE_CONCURRENCY: '8' } })
})
afterAll(() => bench?.[Symbol.asyncDispose]())

fault(
  'kill -9 of the worker with 1000 dumps queued, most of which are cancelled while it is away',
  () => bench,
  async () => {
    const guests = Array.from({ length: DUMPS }, () => bench.describeDouble('succeed'))
    const last = guests.at(-1)
    await until('all are announced', async () => (await bench.service.request(`/v1/guests/${last}`)).status === 200)
    for (let at = 0; at < guests.length; at += AT_A_TIME) {
      await Promise.all(guests.slice(at, at + AT_A_TIME).map((guest) => bench.dump({ guest })))
    }
    await bench.worker.kill('SIGKILL')
    const doomed = bench.accepted.slice(-CANCELLED)
    for (let at = 0; at < doomed.length; at += AT_A_TIME) {
      await Promise.all(
        doomed.slice(at, at + AT_A_TIME).map((id) => bench.service.request(`/v1/dumps/${id}`, { method: 'DELETE' })),
      )
    }
    await bench.startWorker()
    await until(
      'none is queued any more',
      async () => {
        const text = await (await bench.service.request('/metrics')).text()
        return Number(/^ullage_dumps\{state="queued"\} (\d+)$/m.exec(text)?.[1]) === 0
      },
      ALL_WITHIN_MS,
    )
    expect(new Set(bench.accepted).size).toBe(DUMPS)
  },
  { onceWithinMs: ALL_WITHIN_MS + 200_000 },
)
