import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { runFleet } from './fuzz/fuzz-fleet.ts'

const GUESTS = 20_000
/** Of processor time for each thread: a busy machine is slow, not wrong. */
const MOST_MS = 300_000

test(`${GUESTS} guests in five minutes`, async () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  console.log(`seeds from ${seed} on`)
  const workers = Math.min(4, availableParallelism())
  const before = process.cpuUsage()
  const result = await runFleet({ guests: GUESTS, seed, workers })
  const spent = process.cpuUsage(before)
  const threadMs = (spent.user + spent.system) / 1000 / workers
  console.log(
    `${Math.round(result.guests / (result.elapsedMs / 1000))} guests a second, ${Math.round(threadMs / 1000)} s of each ` +
      `processor, a kernel found in ${result.found}, ` +
      `slowest ${Math.round(result.slowestMs)} ms, peak memory ${Math.round(result.peakBytes / 2 ** 20)} MiB`,
  )
  expect(result.findings).toEqual([])
  expect(result.guests).toBe(GUESTS)
  expect(threadMs).toBeLessThan(MOST_MS)
})
