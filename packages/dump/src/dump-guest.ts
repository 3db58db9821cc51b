import { openCodec, type PageCodec } from '@ullage/native'
import type { HostMemory, OpenGuest } from '@ullage/offline-query'
import { startElf, startFlattened, startKdump, type VmcoreSummary, type VmcoreWriter, pageFlags } from '@ullage/vmcore'
import { resolve } from 'node:path'
import { CompressPool } from './compress-pool.ts'
import { DumpError } from './dump-error.ts'
import { checkOptions, type DumpOptions } from './dump-options.ts'
import { estimateArtifact } from './estimate.ts'
import { type Examination, examineGuest } from './examine-guest.ts'
import { LocalArtifact, refuseUnlessFree } from './local-artifact.ts'
import { peakBytes } from './peak-bytes.ts'
import type { DumpSource } from './dump-source.ts'
import { refuseUnlessPv, rewriteGuest, type RewrittenGuest } from './pv-tables/rewrite-guest.ts'
import { countFrames, type DumpReport, summarizeGuest } from './report.ts'
import { effectiveLevel, levelBits } from './verdict.ts'
import { type VerifiedArtifact, verifyArtifact } from './verify-artifact.ts'
import { vmcoreFramesOf, vmcoreHeaderOf } from './vmcore-of-plan.ts'
import { withVmcoreinfo } from './vmcoreinfo-note.ts'
import { writePages } from './write-pages.ts'

/**
 * Dumps one guest: pauses it, asks both witnesses, writes what both say is there, resumes it, reads everything back,
 * and publishes artifact and report. On failure nothing is left behind and the guest runs as before. Throws DumpError,
 * OfflineError, or the signal's reason.
 */
export async function dumpGuest(guest: OpenGuest, options: DumpOptions): Promise<DumpReport> {
  const started = performance.now()
  checkOptions(options)
  const signal = options.signal ? { signal: options.signal } : {}
  const output = resolve(options.output)
  const reportPath = resolve(options.reportPath ?? `${output}.report.json`)
  if (reportPath === output) {
    throw new DumpError('INVALID_OPTION', `report and output must be two files, both are ${output}`)
  }
  const codec = openPageCodec(options)
  if (options.pvTables !== 'keep') refuseUnlessPv(guest, options.pvTables)
  if (!options.dryRun) await refuseUnlessFree(reportPath)
  await using artifact = options.dryRun ? undefined : await LocalArtifact.create(output)
  await using lease = options.live ? undefined : await guest.pause(signal)

  const before = await guest.hostMemory()
  options.onProgress?.({ stage: 'classify', done: 0, total: 1 })
  const { elfNotes: guestNotes, cpus } = await guest.notes(signal)
  const examined = await examineGuest(guest, {
    ...options,
    elfNotes: guestNotes,
    expectVcpus: guest.identity.kind === 'live',
  })
  const { word } = examined
  const elfNotes = word.linux ? withVmcoreinfo(guestNotes, word.linux.vmcoreinfo.text) : guestNotes
  const kept: DumpSource = { memory: guest.memory, plan: examined.plan, elfNotes }
  const rewritten =
    options.pvTables === 'keep'
      ? undefined
      : rewriteGuest(guest, kept, { mode: options.pvTables, rootPfn: word.linux?.rootPfn, ...signal })
  const source = rewritten ?? kept
  const classified = performance.now()
  options.onProgress?.({ stage: 'classify', done: 1, total: 1 })
  const estimate = estimateArtifact(source.plan, {
    frameBytes: guest.memory.frameBytes,
    format: options.format,
    compressible: codec !== undefined,
    notesBytes: source.elfNotes.length,
  })

  let after: HostMemory | undefined
  let pausedMs = 0
  const release = async () => {
    after = await guest.hostMemory()
    pausedMs = (await lease?.resume()) ?? 0
  }
  const report = {
    guest,
    options,
    examined,
    rewritten,
    before,
    mode: lease?.mode ?? (guest.identity.kind === 'live' ? ('live' as const) : ('file' as const)),
    codec: codec?.library ?? 'none',
  }
  if (!artifact) {
    await release()
    const times = { started, classified, written: classified, verified: classified }
    return buildReport({ ...report, after: after ?? before, pausedMs, times, estimate })
  }

  await refuseUnlessFits(artifact, estimate.atLeastBytes)
  const level = effectiveLevel(examined.policy)
  const { compression } = options
  const header = vmcoreHeaderOf({ guest, word, cpus, elfNotes: source.elfNotes, level, compression })
  const frames = vmcoreFramesOf(source.plan)
  const start = { kdump: startKdump, flattened: startFlattened, elf: startElf }[options.format]
  const writer: VmcoreWriter = await start(artifact, header, frames)
  const summary = await compressAndWrite({ source, options, level, codec, writer, release })
  const written = performance.now()
  const verified = await verifyArtifact(artifact.partialPath, { ...signal, ...progressOf(options, 'verify') })
  refuseUnlessWhole(summary, verified)
  const done = performance.now()
  const finished = buildReport({
    ...report,
    after: after ?? before,
    pausedMs,
    times: { started, classified, written, verified: done },
    artifact: { file: output, sha256: verified.sha256, summary },
  })
  options.signal?.throwIfAborted()
  await publish(artifact, reportPath, finished)
  return finished
}

/** The codec of the dump, opened before the guest is touched. Throws DumpError `CODEC_MISSING`. */
function openPageCodec(options: DumpOptions): PageCodec | undefined {
  if (options.compression === 'none' || options.format === 'elf') return undefined
  try {
    return openCodec(options.compression)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new DumpError('CODEC_MISSING', `compression ${options.compression} is not to be had here: ${reason}`, {
      cause: error,
    })
  }
}

async function refuseUnlessFits(artifact: LocalArtifact, atLeastBytes: number): Promise<void> {
  const free = await artifact.freeBytes()
  if (free >= atLeastBytes) return
  throw new DumpError(
    'NO_SPACE',
    `the artifact ${artifact.path} takes at least ${atLeastBytes} bytes, only ${free} are free there; nothing was written`,
  )
}

async function compressAndWrite(options: {
  source: DumpSource
  options: DumpOptions
  level: number
  codec: PageCodec | undefined
  writer: VmcoreWriter
  release: () => Promise<void>
}): Promise<VmcoreSummary> {
  const { codec, writer } = options
  const { memory, plan } = options.source
  const { frameBytes } = memory
  using pool = new CompressPool({
    jobs: codec ? options.options.jobs : 1,
    settings: {
      pageBytes: frameBytes,
      shareZeroPages: (options.level & levelBits.zero) !== 0,
      compressedFlag: codec ? pageFlags[codec.name] : 0,
    },
    codec: codec?.name,
    maxCompressedBytes: codec?.maxCompressedBytes(frameBytes) ?? frameBytes,
  })
  const total = plan.write.size + plan.zero.size
  const { onProgress, signal } = options.options
  await writePages({
    memory,
    plan,
    pool,
    writer,
    onAllRead: options.release,
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress: (done: number) => onProgress({ stage: 'write', done, total }) } : {}),
  })
  return writer.finish()
}

function refuseUnlessWhole(written: VmcoreSummary, found: VerifiedArtifact): void {
  if (found.bytes === written.bytes && found.pages === written.pages) return
  throw new DumpError(
    'VERIFY_FAILED',
    `${written.pages} pages in ${written.bytes} bytes were written, ${found.pages} pages in ${found.bytes} bytes read back`,
  )
}

function progressOf(options: DumpOptions, stage: 'verify') {
  const { onProgress } = options
  return onProgress ? { onProgress: (done: number, total: number) => onProgress({ stage, done, total }) } : {}
}

function buildReport(parts: {
  guest: OpenGuest
  options: DumpOptions
  examined: Examination
  rewritten: RewrittenGuest | undefined
  before: HostMemory
  after: HostMemory
  mode: DumpReport['consistency']['mode']
  pausedMs: number
  codec: string
  times: { started: number; classified: number; written: number; verified: number }
  artifact?: { file: string; sha256: string; summary: VmcoreSummary }
  estimate?: { atLeastBytes: number; atMostBytes: number }
}): DumpReport {
  const { guest, options, examined, rewritten, before, after, times, artifact } = parts
  const { word } = examined
  return {
    schema: 'ullage.report/1',
    guest: summarizeGuest(guest, word.linux),
    frames: countFrames(examined.plan, artifact?.summary.zeroPages),
    disagreements: examined.disagreements,
    hostMemory: {
      backedBytesBefore: before.backedBytes,
      backedBytesAfter: after.backedBytes,
      residentBytesBefore: before.residentBytes,
      residentBytesAfter: after.residentBytes,
    },
    notDumped: guest.memory.notDumped,
    trust: word.trust,
    warnings: [
      ...examined.warnings,
      ...(rewritten?.warnings() ?? []),
      ...(parts.mode === 'live'
        ? [{ code: 'LIVE', text: 'the guest ran while it was dumped: frames may contradict one another' }]
        : []),
    ],
    consistency: { mode: parts.mode, pausedMs: Math.round(parts.pausedMs) },
    process: { peakBytes: peakBytes(), codec: parts.codec },
    ...(rewritten && artifact ? { pvTables: rewritten.report() } : {}),
    ...(artifact
      ? {
          artifact: {
            file: artifact.file,
            bytes: artifact.summary.bytes,
            sha256: artifact.sha256,
            format: options.format,
            compression: options.format === 'elf' ? ('none' as const) : options.compression,
            level: effectiveLevel(examined.policy),
            requestedLevel: options.level,
            pages: artifact.summary.pages,
            zeroPages: artifact.summary.zeroPages,
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

/** Report first under its partial name, then the artifact, then the report: an artifact is never without one for long. */
async function publish(artifact: LocalArtifact, reportPath: string, report: DumpReport): Promise<void> {
  await using reportFile = await LocalArtifact.create(reportPath)
  await reportFile.write(Buffer.from(`${JSON.stringify(report, null, 2)}\n`), 0)
  await artifact.publish()
  try {
    await reportFile.publish()
  } catch (error) {
    await artifact.unpublish()
    throw error
  }
}
