import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { fault } from './fault.ts'
import { FaultBench } from './fault-bench.ts'

/** The clock of one process jumps (libfaketime) while a dump is made. Guests are doubles. */
const LIBRARY = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path))

const folder = mkdtempSync(join(tmpdir(), 'ullage-clocks-'))
const clocks = { worker: join(folder, 'worker'), api: join(folder, 'api') }

let bench: FaultBench
beforeAll(async () => {
  if (LIBRARY === undefined) throw new Error('expected libfaketime, found none: apt-get install faketime')
  for (const clock of Object.values(clocks)) writeFileSync(clock, '+0')
  bench = await FaultBench.start({
    guests: 'double',
    workerEnv: { ...withClock(clocks.worker), ULLAGE_LOCK_SECONDS: '2' },
    apiEnv: withClock(clocks.api),
  })
})
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

/** The wall clock follows the file; the monotonic one is the machine's, as it is when an administrator sets the time. */
function withClock(file: string): Record<string, string> {
  return {
    LD_PRELOAD: LIBRARY ?? '',
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  }
}

for (const whose of ['worker', 'api'] as const) {
  for (const jump of ['+1h', '-1h'] as const) {
    fault(
      `the clock of the ${whose} jumps by ${jump}`,
      () => bench,
      async () => {
        const retried = await bench.dump({ guest: await bench.double('slow', 'succeed') })
        await bench.untilStage(retried, 'write')
        writeFileSync(clocks[whose], jump)
        try {
          const made = await bench.service.untilState(retried.id, ['succeeded'])
          expect(made.attempts).toBe(1)
          const after = await bench.dump({ guest: await bench.double('unavailable', 'succeed') })
          const second = await bench.service.untilState(after.id, ['succeeded'])
          expectJumped(whose, jump, second)
        } finally {
          writeFileSync(clocks[whose], '+0')
        }
      },
    )
  }
}

/** That the clock did jump: the one who stamps a time is an hour off. */
function expectJumped(
  whose: 'worker' | 'api',
  jump: '+1h' | '-1h',
  dump: { createdAt: string; startedAt: string | null },
) {
  const stamped = Date.parse(whose === 'api' ? dump.createdAt : (dump.startedAt ?? ''))
  const off = (stamped - Date.now()) / 3_600_000
  expect(Math.abs(off - (jump === '+1h' ? 1 : -1))).toBeLessThan(0.1)
}
