// Ours beside makedumpfile and QEMU on the memory of one guest: see README.md.
import { type BenchOptions, parseBenchOptions, usage } from './bench-options.ts'
import { keepResults } from './keep-results.ts'
import { measure } from './measure.ts'
import { outcomesOf, readResults } from './results.ts'
import { markdown } from './table.ts'

const abort = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort(new Error(`received ${name}`)))

const options = parseOrSay()
if (options) {
  try {
    await run(options)
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = abort.signal.aborted ? 130 : 1
  }
}

async function run(options: BenchOptions): Promise<void> {
  const results = options.show === undefined ? await measure(options, abort.signal) : readResults(options.show)
  process.stdout.write(markdown(results, outcomesOf(results)))
  if (options.keep) await keepResults(results)
}

function parseOrSay(): BenchOptions | undefined {
  try {
    return parseBenchOptions(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n${usage}`)
    process.exitCode = 2
    return undefined
  }
}
