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
  /** False: without reading the file back, where the command can leave that out. */
  readonly verify: boolean
}

export interface UllageDump extends TimedRun {
  readonly report: DumpReport
  readonly bytes: number
  /** Whether these figures hold the reading back of the file. */
  readonly isVerified: boolean
}

/** Runs `ullage` with these arguments. */
export function ullage(argv: readonly string[], options: RunTimedOptions): Promise<TimedRun> {
  return runTimed([...ULLAGE, ...argv], options)
}

/** Dumps a guest to `output`, which is replaced. */
export async function ullageDump(options: UllageDumpOptions): Promise<UllageDump> {
  const { guest, output, level, codec, signal, env } = options
  const report = `${output}.report.json`
  for (const path of [output, report]) rmSync(path, { force: true })
  const isVerified = options.verify || !(await canLeaveOutVerify(options))
  const argv = ['dump', guest, '-o', output, '--level', String(level), '--compress', codec]
  const run = await ullage(isVerified ? argv : [...argv, '--no-verify'], { signal, ...(env ? { env } : {}) })
  return {
    ...run,
    report: JSON.parse(readFileSync(report, 'utf8')) as DumpReport,
    bytes: statSync(output).size,
    isVerified,
  }
}

let leavesOutVerify: Promise<boolean> | undefined

/** Whether `ullage dump` knows `--no-verify`, by its own help. */
export function canLeaveOutVerify(options: RunTimedOptions): Promise<boolean> {
  leavesOutVerify ??= ullage(['dump', '--help'], options).then(({ stdout }) => stdout.includes('--no-verify'))
  return leavesOutVerify
}
