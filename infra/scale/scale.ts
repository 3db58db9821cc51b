// What large guests and a large fleet would take: see README.md.
import { existsSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { keepBetween } from '../keep-between.ts'
import { readResults } from '../bench/results.ts'
import { measureHashMsPerGib } from './measure-hash.ts'
import { measureRedis } from './measure-redis.ts'
import { tables } from './tables.ts'
import { unitCosts } from './unit-costs.ts'

const BENCH = resolve(import.meta.dirname, '../bench/results/bench.json')
const README = join(import.meta.dirname, 'README.md')
const usage = `usage: npm run scale -- [--bench FILE] [--keep]

  --bench FILE  other results of the benchmark than infra/bench/results/bench.json
  --keep        also writes the tables into infra/scale/README.md
`

const abort = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort(new Error(`received ${name}`)))

const options = parseOrSay()
if (options) {
  try {
    await run(options)
  } catch (error) {
    process.stderr.write(`scale: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = abort.signal.aborted ? 130 : 1
  }
}

async function run({ bench: path, keep }: { bench: string; keep: boolean }): Promise<void> {
  if (!existsSync(path))
    throw new Error(`there are no results of the benchmark at ${path}: run "npm run bench -- --keep" first`)
  const bench = readResults(path)
  const hashMsPerGib = measureHashMsPerGib()
  const costs = { 31: unitCosts(bench, 31, hashMsPerGib), 1: unitCosts(bench, 1, hashMsPerGib) }
  const before = loadavg()
  const redis = await measureRedis(abort.signal, (text) => process.stderr.write(`scale: ${text}\n`))
  const load = [before, loadavg()].map((loads) => loads[0]?.toFixed(2)).join(' to ')
  const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.versions.node}`
  const command = ['npm run scale', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' ')
  const measuredHere = `\`${command}\`, ${new Date().toISOString().slice(0, 10)}, ${machine}, load averages ${load}`
  const text = tables({ bench, costs, redis, measuredHere })
  process.stdout.write(text)
  if (keep) keepBetween(README, 'npm run scale -- --keep', text)
}

function parseOrSay(): { bench: string; keep: boolean } | undefined {
  try {
    const { values } = parseArgs({ options: { bench: { type: 'string' }, keep: { type: 'boolean', default: false } } })
    // npm runs scripts in the folder of package.json.
    const bench = values.bench === undefined ? BENCH : resolve(process.env['INIT_CWD'] ?? '.', values.bench)
    if (values.keep && values.bench !== undefined)
      throw new TypeError('--keep: only of the kept results of the benchmark')
    return { bench, keep: values.keep }
  } catch (error) {
    process.stderr.write(`scale: ${error instanceof Error ? error.message : String(error)}\n${usage}`)
    process.exitCode = 2
    return undefined
  }
}
