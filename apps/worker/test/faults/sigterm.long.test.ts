import { setTimeout as delay } from 'node:timers/promises'
import type { DumpResource } from '@ullage/dump-job'
import { afterAll, beforeAll, expect } from 'vitest'
import { isAlive, until } from '../start-service.ts'
import { fault } from './fault.ts'
import { FaultBench } from './fault-bench.ts'

/** The worker is told to end while it is at each stage of a dump of a real guest, and given a second for what runs. */
const ENDS_WITHIN_MS = 12_000

let bench: FaultBench
beforeAll(async () => {
  bench = await FaultBench.start({ guests: 'real' })
})
afterAll(() => bench?.[Symbol.asyncDispose]())

const stages: Readonly<Record<string, (dump: DumpResource) => Promise<unknown>>> = {
  'the guest is opened': (dump) => bench.dumpProcess(dump),
  'the guest stands still and is classified': () => bench.untilPaused(),
  'pages are written': (dump) => bench.untilStage(dump, 'write'),
  'the artifact is read back': (dump) => bench.untilStage(dump, 'verify'),
}

async function endsInOrder(): Promise<void> {
  const started = performance.now()
  await bench.worker.kill('SIGTERM')
  expect(bench.worker.process.exitCode).toBe(0)
  expect(performance.now() - started).toBeLessThan(ENDS_WITHIN_MS)
  expect(await bench.guest?.status()).toBe('running')
  expect(bench.service.files().filter((file) => file.startsWith('.'))).toEqual([])
}

for (const [stage, reached] of Object.entries(stages)) {
  fault(
    `SIGTERM while ${stage}`,
    () => bench,
    async () => {
      const dump = await bench.slowDump()
      await reached(dump)
      await endsInOrder()
      await bench.startWorker()
      await bench.service.untilState(dump.id, ['succeeded'])
    },
  )
}

fault(
  'SIGTERM while the artifact is published',
  () => bench,
  async () => {
    const dump = await bench.slowDump({ level: 31 })
    const pid = await bench.dumpProcess(dump)
    await bench.untilPaused()
    // The worker hears of the end of the dump's process and of SIGTERM at the same moment.
    bench.worker.process.kill('SIGSTOP')
    await until('the dump process has ended', () => !isAlive(pid), 30_000)
    const ending = endsInOrder()
    await delay(50)
    bench.worker.process.kill('SIGCONT')
    await ending
    await bench.startWorker()
    expect((await bench.service.untilState(dump.id, ['succeeded'])).attempts).toBeLessThanOrEqual(2)
  },
)

fault(
  'SIGTERM while Redis is away and pages are written',
  () => bench,
  async () => {
    const dump = await bench.slowDump()
    await bench.untilStage(dump, 'write')
    await bench.redis.kill()
    await endsInOrder()
    await bench.redis.revive()
    await bench.startWorker()
    await bench.service.untilState(dump.id, ['succeeded'])
  },
)
