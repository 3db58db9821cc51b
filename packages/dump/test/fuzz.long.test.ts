import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { runFleet } from './fuzz/fuzz-fleet.ts'

const GUESTS = 20_000
const MOST_MS = 300_000

test(`${GUESTS} guests in five minutes`, async () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  console.log(`seeds from ${seed} on`)
  const result = await runFleet({ guests: GUESTS, seed, workers: Math.min(4, availableParallelism()) })
  console.log(
    `${Math.round(result.guests / (result.elapsedMs / 1000))} guests a second, a kernel found in ${result.found}, ` +
      `slowest ${Math.round(result.slowestMs)} ms, peak memory ${Math.round(result.peakBytes / 2 ** 20)} MiB`,
  )
  expect(result.findings).toEqual([])
  expect(result.guests).toBe(GUESTS)
  expect(result.elapsedMs).toBeLessThan(MOST_MS)
})
