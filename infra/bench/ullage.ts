import type { DumpReport } from '@ullage/dump'
import { readFileSync, rmSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { runTimed, type RunTimedOptions, type TimedRun } from './run-timed.ts'

/** As a user starts it: the one place that says how. */
const ULLAGE: readonly string[] = [process.execPath, resolve(import.meta.dirname, '../../apps/cli/bin/ullage.js')]

export type Codec = 'lzo' | 'zstd' | 'zlib'

export interface UllageDumpOptions extends RunTimedOptions {
  /** A guest descriptor. */
  readonly guest: string
  readonly output: string
  readonly level: number
  readonly codec: Codec
  /** False: without reading the file back. */
  readonly verify: boolean
}

export interface UllageDump extends TimedRun {
  readonly report: DumpReport
  readonly bytes: number
}

/** Runs `ullage` with these arguments. */
export function ullage(argv: readonly string[], options: RunTimedOptions): Promise<TimedRun> {
  return runTimed([...ULLAGE, ...argv], options)
}

/** Dumps a guest to `output`, which is replaced. */
export async function ullageDump(options: UllageDumpOptions): Promise<UllageDump> {
  const { guest, output, level, codec, verify, ...rest } = options
  const reportPath = `${output}.report.json`
  for (const path of [output, reportPath]) rmSync(path, { force: true })
  const argv = ['dump', guest, '-o', output, '--level', String(level), '--compress', codec]
  const run = await ullage(verify ? argv : [...argv, '--no-verify'], rest)
  const report = JSON.parse(readFileSync(reportPath, 'utf8')) as DumpReport
  return { ...run, report, bytes: statSync(output).size }
}
