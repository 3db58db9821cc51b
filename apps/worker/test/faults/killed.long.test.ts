import { afterAll, beforeAll, expect } from 'vitest'
import { isAlive, until } from '../start-service.ts'
import { crashCodec } from './crash-codec.ts'
import { fault } from './fault.ts'
import { FaultBench } from './fault-bench.ts'

/** Each process of the service dies without a word while a real guest is dumped. */
const RESUMED_WITHIN_MS = 2_000

let bench: FaultBench
beforeAll(async () => {
  bench = await FaultBench.start({ guests: 'real' })
})
afterAll(() => bench?.[Symbol.asyncDispose]())

async function runsAgain(): Promise<void> {
  await until('the guest runs again', async () => (await bench.guest?.status()) === 'running', RESUMED_WITHIN_MS)
}

fault(
  'kill -9 of the worker',
  () => bench,
  async () => {
    const dump = await bench.slowDump()
    const pid = await bench.dumpProcess(dump)
    await bench.untilPaused()
    await bench.worker.kill('SIGKILL')
    await runsAgain()
    await until('the dump process is gone', () => !isAlive(pid), RESUMED_WITHIN_MS)
    await bench.startWorker()
    expect(await bench.service.untilState(dump.id, ['succeeded'])).toMatchObject({ attempts: 2 })
  },
)

fault(
  'kill -9 of the dump child',
  () => bench,
  async () => {
    const dump = await bench.slowDump()
    const pid = await bench.dumpProcess(dump)
    await bench.untilStage(dump, 'write')
    process.kill(pid, 'SIGKILL')
    await runsAgain()
    expect(await bench.service.untilState(dump.id, ['succeeded'])).toMatchObject({ attempts: 2 })
  },
)

if (process.arch === 'x64') {
  fault(
    'SIGSEGV inside a codec while pages are written',
    () => bench,
    async () => {
      const dump = await bench.slowDump({ compression: 'lzo' })
      const pid = await bench.dumpProcess(dump)
      await bench.untilPaused()
      crashCodec(pid, 'liblzo2')
      const made = await bench.service.untilState(dump.id, ['succeeded'])
      expect(made).toMatchObject({ attempts: 2 })
      expect(bench.worker.log()).toContain('the dump process ended early (SIGSEGV)')
    },
  )
}

fault(
  'kill -9 of the API',
  () => bench,
  async () => {
    const dump = await bench.slowDump()
    await bench.untilPaused()
    await bench.service.api.kill('SIGKILL')
    await bench.service.startApi()
    await bench.service.untilState(dump.id, ['succeeded'])
  },
)

fault(
  'kill -9 of Redis, with an append-only file',
  () => bench,
  async () => {
    const dump = await bench.slowDump()
    await bench.untilPaused()
    await bench.redis.kill()
    await bench.redis.revive()
    await bench.service.untilState(dump.id, ['succeeded'])
  },
)

fault(
  'a worker loses its lock',
  () => bench,
  async () => {
    const dump = await bench.slowDump()
    const pid = await bench.dumpProcess(dump)
    await bench.untilPaused()
    expect(await bench.redis.ask((client) => client.del(`ullage-jobs:dump-{h1}:${dump.id}:lock`))).toBe(1)
    await until('the attempt has ended', () => !isAlive(pid), 20_000)
    expect(await bench.service.untilState(dump.id, ['succeeded'])).toMatchObject({ attempts: 2 })
  },
)

fault(
  'kill -9 of QEMU',
  () => bench,
  async () => {
    const dump = await bench.slowDump()
    await bench.untilPaused()
    process.kill(bench.guest?.pid ?? 0, 'SIGKILL')
    const failed = await bench.service.untilState(dump.id, ['failed'])
    expect(failed.failure?.code).toMatch(/^(UNAVAILABLE|GUEST_NOT_FOUND)$/)
    await bench.bootGuest()
  },
)
