// What API and workers bear on this machine: see README.md.
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { keepBetween } from '../keep-between.ts'
import { runRealDumps } from './real-dumps.ts'
import { runStubJobs } from './stub-jobs.ts'
import { tables } from './tables.ts'

const README = join(import.meta.dirname, 'README.md')
const usage = `usage: npm run load -- [--hosts N] [--jobs N] [--seconds N] [--guests N] [--dumps N] [--keep]

  --hosts N    hosts of the stub; 10 when left out
  --jobs N     dumps by the stub in all; 1000
  --seconds N  so long each list is asked for; 10
  --guests N   real guests; 3
  --dumps N    real dumps in all; 20
  --keep       also writes the tables into infra/load/README.md
`
const DEFAULTS = { hosts: 10, jobs: 1000, seconds: 10, guests: 3, dumps: 20 }

const abort = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort(new Error(`received ${name}`)))

const options = parseOrSay()
if (options) {
  try {
    await run(options)
  } catch (error) {
    process.stderr.write(`load: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = abort.signal.aborted ? 130 : 1
  }
}

async function run(options: typeof DEFAULTS & { keep: boolean }): Promise<void> {
  const context = { signal: abort.signal, say: (text: string) => void process.stderr.write(`load: ${text}\n`) }
  const before = loadavg()
  const stub = await runStubJobs(options, context)
  const real = await runRealDumps(options, context)
  const load = [before, loadavg()].map((loads) => loads[0]?.toFixed(2)).join(' to ')
  const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.versions.node}`
  const command = ['npm run load', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' ')
  const measuredHere = `\`${command}\`, ${new Date().toISOString().slice(0, 10)}, ${machine}, clients on the same machine, load averages ${load}.`
  const text = tables(measuredHere, stub, real)
  process.stdout.write(text)
  const wrong = [
    ...(stub.states['succeeded'] === stub.jobs ? [] : ['not every dump by the stub succeeded']),
    ...(stub.published === stub.jobs ? [] : [`${stub.published} of ${stub.jobs} dumps by the stub are published`]),
    ...(stub.refused === stub.jobs ? [] : ['a guest was given a second dump by the stub']),
    ...(real.states['succeeded'] === real.dumps ? [] : ['not every real dump succeeded']),
    ...(real.watch.overbooked.length === 0 ? [] : [`guests had two dumps: ${real.watch.overbooked.join('; ')}`]),
    ...(real.guestStates.every((state) => state === 'running') ? [] : ['a guest was left paused']),
    ...(real.backedBytes[1] <= real.backedBytes[0] ? [] : ['the host backs more of the guests than before']),
  ]
  if (wrong.length > 0) throw new Error(wrong.join('; '))
  if (options.keep) keepBetween(README, 'npm run load -- --keep', text)
}

function parseOrSay(): (typeof DEFAULTS & { keep: boolean }) | undefined {
  try {
    const number = { type: 'string' } as const
    const { values } = parseArgs({
      options: {
        hosts: number,
        jobs: number,
        seconds: number,
        guests: number,
        dumps: number,
        keep: { type: 'boolean', default: false },
      },
    })
    const numbers = { ...DEFAULTS }
    for (const name of Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]) {
      const value = Number(values[name] ?? DEFAULTS[name])
      if (!Number.isInteger(value) || value < 1)
        throw new RangeError(`--${name}: expected 1 or more, found ${values[name]}`)
      numbers[name] = value
    }
    return { ...numbers, keep: values.keep }
  } catch (error) {
    process.stderr.write(`load: ${error instanceof Error ? error.message : String(error)}\n${usage}`)
    process.exitCode = 2
    return undefined
  }
}
