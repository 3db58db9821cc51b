import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect } from 'vitest'
import { fault } from './fault.ts'
import { FaultBench } from './fault-bench.ts'

/** Redis dies, forgets or stands still while dumps wait and while one is made. Guests are doubles. */
let bench: FaultBench
beforeAll(async () => {
  bench = await FaultBench.start({ guests: 'double', appendOnly: false, workerEnv: { ULLAGE_LOCK_SECONDS: '2' } })
})
afterAll(() => bench?.[Symbol.asyncDispose]())

fault(
  'FLUSHALL while a dump is made and another is queued',
  () => bench,
  async () => {
    const { running, queued } = await bench.oneRunningOneQueued('slow')
    await bench.redis.flush()
    await bench.service.untilState(queued.id, ['succeeded'])
    const { state } = await bench.service.untilState(running.id, ['lost', 'succeeded'])
    expect(state).toBe('lost')
  },
)

fault(
  'kill -9 of Redis, without an append-only file',
  () => bench,
  async () => {
    const { running, queued } = await bench.oneRunningOneQueued('slow')
    await bench.redis.kill()
    await bench.redis.revive()
    await bench.service.untilState(queued.id, ['succeeded'])
    await bench.service.untilState(running.id, ['lost', 'succeeded'])
  },
)

fault(
  'Redis stands still (SIGSTOP) for longer than a lock lasts',
  () => bench,
  async () => {
    const { running, queued } = await bench.oneRunningOneQueued('slow', 'succeed')
    bench.redis.freeze()
    await delay(5_000)
    bench.redis.thaw()
    await bench.service.untilState(running.id, ['succeeded'])
    await bench.service.untilState(queued.id, ['succeeded'])
  },
)

fault(
  'Redis is full (maxmemory) for longer than a lock lasts',
  () => bench,
  async () => {
    const { running, queued } = await bench.oneRunningOneQueued('slow', 'succeed')
    const limit = (bytes: string) => bench.redis.ask((client) => client.config('SET', 'maxmemory', bytes))
    const said = () => bench.worker.log().match(/"msg":"queue"/g)?.length ?? 0
    const before = said()
    await limit('1')
    // All tries of a dump would have been used up by then.
    await delay(20_000)
    await limit('0')
    expect(said() - before).toBeLessThan(10)
    await bench.service.untilState(running.id, ['succeeded'])
    const { attempts } = await bench.service.untilState(queued.id, ['succeeded'])
    expect(attempts).toBe(1)
  },
)

fault(
  'SIGTERM while Redis is away',
  () => bench,
  async () => {
    const { running, queued } = await bench.oneRunningOneQueued('hang', 'succeed')
    bench.redis.freeze()
    const told = performance.now()
    await bench.worker.kill('SIGTERM')
    // A second for what runs, and what Redis is waited for.
    expect(performance.now() - told).toBeLessThan(10_000)
    expect(bench.worker.process.exitCode).toBe(0)
    expect(bench.livingDumpProcesses()).toEqual([])
    expect(bench.service.files().filter((file) => file.startsWith('.'))).toEqual([])
    bench.redis.thaw()
    await bench.startWorker()
    await bench.service.untilState(running.id, ['succeeded'])
    await bench.service.untilState(queued.id, ['succeeded'])
  },
)

fault(
  'SIGTERM of a worker that has nothing to do while Redis is away',
  () => bench,
  async () => {
    const before = bench.service.files()
    bench.redis.freeze()
    await delay(1_500)
    const told = performance.now()
    await bench.worker.kill('SIGTERM')
    expect(performance.now() - told).toBeLessThan(8_000)
    expect(bench.worker.process.exitCode).toBe(0)
    expect(bench.service.files()).toEqual(before)
    bench.redis.thaw()
    await bench.startWorker()
  },
)
