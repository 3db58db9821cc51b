import type { OpenGuest } from '@ullage/offline-query'
import type { VmcoreSummary } from '@ullage/vmcore'
import type { DumpOptions } from './dump-options.ts'
import type { Examination } from './examine-guest.ts'
import { changeWarnings, figuresReport, type GuestFigures } from './guest-figures.ts'
import { peakBytes } from './peak-bytes.ts'
import type { RewrittenGuest } from './pv-tables/rewrite-guest.ts'
import { countFrames, type DumpReport, summarizeGuest, type Warning } from './report.ts'
import { effectiveLevel } from './verdict.ts'

/** What `buildReport` is made from. */
export interface ReportParts {
  readonly guest: OpenGuest
  readonly options: DumpOptions
  readonly examined: Examination
  readonly rewritten: RewrittenGuest | undefined
  readonly before: GuestFigures
  readonly after: GuestFigures
  readonly mode: DumpReport['consistency']['mode']
  readonly pausedMs: number
  /** The library that compressed. */
  readonly codec: string
  /** Points of time, in milliseconds. */
  readonly times: {
    readonly started: number
    readonly classified: number
    readonly written: number
    readonly verified: number
  }
  /** Undefined for a dry run. */
  readonly artifact?: {
    readonly file: string
    readonly sha256: string
    readonly verified: boolean
    readonly summary: VmcoreSummary
  }
  /** Bytes of pages that were copied before the guest was let go. */
  readonly copied?: number
  readonly estimate?: { readonly atLeastBytes: number; readonly atMostBytes: number }
}

/** Why a guest stood still until its last page was written, where it did. */
function pauseWarnings({ mode, options, artifact, copied, examined }: ReportParts): Warning[] {
  if (mode !== 'paused' || !artifact || copied !== 0) return []
  const { plan, memory } = examined
  const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`
  if (plan.write.size === 0) return []
  const found = `${mebibytes(plan.write.size * memory.frameBytes)} of pages were to be written`
  const fits = plan.write.size * memory.frameBytes <= options.memoryBytes
  const why = fits
    ? 'this machine had no memory to copy them to'
    : `only ${mebibytes(options.memoryBytes)} may be copied (--memory)`
  const text = `the guest stood still until its last page was compressed: ${found}, and ${why}`
  return [{ code: 'PAUSED_THROUGHOUT', text }]
}

/** What stands beside the artifact. */
export function buildReport(parts: ReportParts): DumpReport {
  const { guest, options, examined, rewritten, before, after, times, artifact } = parts
  const { word } = examined
  return {
    schema: 'ullage.report/1',
    guest: summarizeGuest(guest, word.linux, examined.memory),
    frames: countFrames(examined.plan, artifact?.summary.zeroPages),
    disagreements: examined.disagreements,
    ...figuresReport(before, after),
    notDumped: guest.memory.notDumped,
    trust: word.trust,
    warnings: [
      ...examined.warnings,
      ...(rewritten?.warnings() ?? []),
      ...pauseWarnings(parts),
      ...(parts.mode === 'live'
        ? [{ code: 'LIVE', text: 'the guest ran while it was dumped: frames may contradict one another' }]
        : changeWarnings(before, after)),
    ],
    consistency: { mode: parts.mode, pausedMs: Math.round(parts.pausedMs), copiedBytes: parts.copied ?? 0 },
    process: { peakBytes: peakBytes(), codec: parts.codec },
    ...(rewritten && artifact ? { pvTables: rewritten.report() } : {}),
    ...(artifact
      ? {
          artifact: {
            file: artifact.file,
            bytes: artifact.summary.bytes,
            sha256: artifact.sha256,
            verified: artifact.verified,
            format: options.format,
            compression: options.format === 'elf' ? ('none' as const) : options.compression,
            level: effectiveLevel(examined.policy),
            requestedLevel: options.level,
            pages: artifact.summary.pages,
            zeroPages: artifact.summary.zeroPages,
            sharedPages: artifact.summary.sharedPages,
          },
        }
      : {}),
    ...(parts.estimate ? { estimate: parts.estimate } : {}),
    timingsMs: {
      classify: Math.round(times.classified - times.started),
      write: Math.round(times.written - times.classified),
      verify: Math.round(times.verified - times.written),
      total: Math.round(performance.now() - times.started),
    },
  }
}
