import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { fuzzBases } from './fuzz-bases.ts'
import { runFleet } from './fuzz-fleet.ts'
import { runGuest } from './run-guest.ts'

// Examines guests that were changed at random, until there were enough of them or the time is over:
//   node --conditions=@ullage/source packages/dump/test/fuzz/fuzz.ts [--guests N] [--minutes M] [--seed S] [--workers W]
//   … --replay SEED   examines one of them again, in this thread
// Exit status 1 when one showed something wrong; its seed is printed.

const REPORT_MS = 10_000

const { values } = parseArgs({
  options: {
    guests: { type: 'string', default: '1000000' },
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string' },
    workers: { type: 'string', default: String(availableParallelism()) },
    replay: { type: 'string' },
  },
})

if (values.replay === undefined) await runAll()
else console.log(await runGuest(await fuzzBases('all'), Number(values.replay)))

async function runAll(): Promise<void> {
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed)
  console.log(`seeds from ${seed} on`)
  let told = performance.now()
  let printed = 0
  const result = await runFleet({
    guests: Number(values.guests),
    milliseconds: Number(values.minutes) * 60_000,
    workers: Number(values.workers),
    seed,
    onProgress: ({ guests, findings }) => {
      for (const finding of findings.slice(printed)) console.error(finding)
      printed = findings.length
      if (performance.now() - told < REPORT_MS) return
      told = performance.now()
      console.log(`${guests} guests, ${findings.length} findings`)
    },
  })
  const seconds = result.elapsedMs / 1000
  console.log(
    `${result.guests} guests with ${result.mutations} changes in ${seconds.toFixed(0)} s (${(result.guests / seconds).toFixed(0)} a second), ` +
      `a kernel found in ${result.found}; slowest ${result.slowestMs.toFixed(0)} ms, most frames read ${result.mostFramesRead}, ` +
      `most steps ${result.mostSteps}, peak memory ${Math.round(result.peakBytes / 2 ** 20)} MiB`,
  )
  if (result.findings.length > 0) process.exitCode = 1
}
