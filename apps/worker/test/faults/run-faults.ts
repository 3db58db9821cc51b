import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { FaultResult } from './fault.ts'
import { faultRows, faultTable } from './fault-table.ts'

const USAGE = `npm run faults -- [--times N] [--only WORD] [--json FILE]
  Tries each fault N times (1), or those in files whose name has WORD, and prints the table of what was found.
  --json FILE writes every row, and every sentence of what was wrong, as JSON.
`
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const FOLDER = 'apps/worker/test/faults/'

const { values } = readCall()
const times = Number(values.times)
if (!Number.isInteger(times) || times < 1)
  endWithUsage(`--times: expected a whole number from 1, found ${values.times}`)

const folder = mkdtempSync(join(tmpdir(), 'ullage-faults-'))
const file = join(folder, 'results.jsonl')
const filter = `${FOLDER}${values.only ?? ''}`
const passed = [
  ['run', '--project', 'real', filter],
  ['run', '--config', 'vitest.long.config.ts', filter],
].map((args) => {
  // The table goes to stdout, what the tests say to stderr.
  const { status } = spawnSync(join(ROOT, 'node_modules/.bin/vitest'), [...args, '--passWithNoTests'], {
    cwd: ROOT,
    stdio: ['ignore', process.stderr, process.stderr],
    env: { ...process.env, ULLAGE_FAULTS_TIMES: String(times), ULLAGE_FAULTS_RESULTS: file },
  })
  return status === 0
})
const results = existsSync(file)
  ? readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as FaultResult)
  : []
rmSync(folder, { recursive: true })
const rows = faultRows(results)
process.stdout.write(`${faultTable(rows)}\n`)
const wrong = results.filter((result) => result.wrong.length > 0)
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ times, rows, wrong }, null, 2)}\n`)
process.exitCode = passed.every(Boolean) && results.length > 0 ? 0 : 1

function readCall() {
  try {
    return parseArgs({
      options: { times: { type: 'string', default: '1' }, only: { type: 'string' }, json: { type: 'string' } },
    })
  } catch (error) {
    return endWithUsage(error instanceof Error ? error.message : String(error))
  }
}

function endWithUsage(why: string): never {
  process.stderr.write(`${why}\n${USAGE}`)
  process.exit(2)
}
