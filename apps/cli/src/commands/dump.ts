import { dumpDefaults, dumpFormats, dumpGuest, type DumpReport, pvTablesModes, trusts } from '@ullage/dump'
import { loadDescriptor, openGuest } from '@ullage/guests'
import { compressions } from '@ullage/vmcore'
import { askedLine } from '../asked-line.ts'
import { humanBytes, humanTime } from '../human.ts'
import { integer, oneOf, parseCall } from '../parse-call.ts'
import { ProgressLine } from '../progress.ts'
import { stateDir } from '../state-dir.ts'
import { UsageError } from '../usage-error.ts'

const usage =
  'ullage dump GUEST -o FILE [--level 0..31] [--compress zstd|lzo|snappy|zlib|none] [--format kdump|flattened|elf] [--trust guest|both|host] [--pv-tables keep|rewrite|crash] [--live] [--report FILE] [--dry-run] [--jobs N]'

const details = `--pv-tables is for PV guests of Xen, whose page tables hold machine frames:
  keep     as they are (default): libkdumpfile reads every page by its frame number; crash, drgn and makedumpfile fail
  rewrite  with the guest's own frame numbers: for drgn and makedumpfile; crash fails, it asks for a list of frames
  crash    that and the list, in frames above guest RAM: for crash and drgn; makedumpfile prints the log of such a dump and
           cannot filter it
Other guests need no such thing: every reader opens their dumps.`

export async function dump(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseCall(args, {
    usage,
    details,
    operands: ['GUEST'],
    options: {
      output: { type: 'string', short: 'o' },
      level: { type: 'string' },
      compress: { type: 'string' },
      format: { type: 'string' },
      trust: { type: 'string' },
      'pv-tables': { type: 'string' },
      live: { type: 'boolean' },
      report: { type: 'string' },
      'dry-run': { type: 'boolean' },
      jobs: { type: 'string' },
    },
  })
  const dryRun = values['dry-run'] ?? false
  if (values.output === undefined && !dryRun)
    throw new UsageError(`-o FILE is needed: where should the dump go?\nusage: ${usage}`)
  const options = {
    level: integer('level', values.level, { min: 0, max: 31, fallback: dumpDefaults.level }),
    compression: oneOf('compress', values.compress, compressions, dumpDefaults.compression),
    format: oneOf('format', values.format, dumpFormats, dumpDefaults.format),
    trust: oneOf('trust', values.trust, trusts, dumpDefaults.trust),
    pvTables: oneOf('pv-tables', values['pv-tables'], pvTablesModes, dumpDefaults.pvTables),
    jobs: integer('jobs', values.jobs, { min: 1, max: 256, fallback: dumpDefaults.jobs }),
    live: values.live ?? false,
    dryRun,
    ...(values.output === undefined ? {} : { output: values.output }),
    ...(values.report === undefined ? {} : { reportPath: values.report }),
  }
  const descriptor = await loadDescriptor(positionals[0] as string)
  await using guest = await openGuest(descriptor, { stateDir: stateDir(), signal, pauses: !options.live })
  using progress = new ProgressLine()
  const report = await dumpGuest(guest, { ...options, signal, onProgress: (now) => progress.show(now) })
  progress[Symbol.dispose]()
  for (const { code, text } of report.warnings) process.stderr.write(`ullage: warning: ${text} [${code}]\n`)
  process.stdout.write(report.artifact ? `${summary(report)}\n` : `${JSON.stringify(report, null, 2)}\n`)
}

function summary(report: DumpReport): string {
  const { artifact, frames, timingsMs, consistency, disagreements } = report
  if (!artifact) return ''
  const paused = consistency.mode === 'paused' ? `, guest paused ${humanTime(consistency.pausedMs)}` : ''
  return [
    `${artifact.file}: ${humanBytes(artifact.bytes)} in ${humanTime(timingsMs.total)}${paused}`,
    `  ${frames.byFate.write} frames written, ${frames.byFate.zero} zero, ${frames.byFate.leaveOut} left out, of ${frames.total}`,
    `  reclaimable: ${humanBytes(disagreements.reclaimableBytes)}; sha256 ${artifact.sha256}`,
    ...askedLine(report).map((line) => `  ${line}`),
  ].join('\n')
}
