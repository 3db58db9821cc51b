import { openCodec, type PageCodec } from '@ullage/native'
import type { OpenGuest } from '@ullage/offline-query'
import { startElf, startFlattened, startKdump, type VmcoreSummary, type VmcoreWriter, pageFlags } from '@ullage/vmcore'
import { resolve } from 'node:path'
import { Admission } from './admission.ts'
import { buildReport } from './build-report.ts'
import { classifyGuest } from './classify-guest.ts'
import { CompressPool } from './compress-pool.ts'
import { DumpError } from './dump-error.ts'
import { checkOptions, type DumpOptions } from './dump-options.ts'
import { followedSink } from './followed-sink.ts'
import { figuresOf, type GuestFigures } from './guest-figures.ts'
import { hashFile } from './hash-file.ts'
import { LocalArtifact, refuseUnlessFree } from './local-artifact.ts'
import type { DumpSource } from './dump-source.ts'
import { ReadyStore } from './page-store.ts'
import { refuseUnlessPv } from './pv-tables/rewrite-guest.ts'
import { type Rehearsal, rehearse, SPARE_BYTES } from './rehearse.ts'
import type { DumpReport } from './report.ts'
import { effectiveLevel, levelBits } from './verdict.ts'
import { type VerifiedArtifact, verifyArtifact } from './verify-artifact.ts'
import { vmcoreFramesOf, vmcoreHeaderOf } from './vmcore-of-plan.ts'
import { timelySink } from './timely-sink.ts'
import { writePages } from './write-pages.ts'

/**
 * Dumps one guest: pauses it, asks both witnesses, writes what both say is there, resumes it, reads everything back,
 * and publishes artifact and report. On failure nothing is left behind and the guest runs as before. Throws DumpError,
 * OfflineError, or the signal's reason.
 */
export async function dumpGuest(guest: OpenGuest, options: DumpOptions): Promise<DumpReport> {
  const begun = performance.now()
  checkOptions(options)
  const signal = options.signal ? { signal: options.signal } : {}
  const { output, reportPath } = pathsOf(options)
  const codec = openPageCodec(options)
  if (options.pvTables !== 'keep') refuseUnlessPv(guest, options.pvTables)
  if (reportPath !== undefined) await refuseUnlessFree(reportPath)
  await using artifact = options.dryRun || output === undefined ? undefined : await LocalArtifact.create(output)
  const admission = artifact && new Admission(artifact, options.admit)
  // Threads start while the guest is looked at.
  await using pool = artifact && new CompressPool({ jobs: options.jobs, codec: codec?.name })
  let rehearsal: Rehearsal | undefined
  const store = new ReadyStore()
  const beforeStop = async () => {
    await pool?.ready
    rehearsal = await rehearse(guest, options)
    if (await admission?.ask(rehearsal.need)) rehearsal = await rehearse(guest, options)
    if (pool) makeReady(store, rehearsal.writeBytes, options.memoryBytes)
  }
  await using lease = options.live ? undefined : await guest.pause({ ...signal, beforeStop })

  const before = await figuresOf(guest, signal)
  const classify = () => classifyGuest(guest, options, rehearsal?.vmcoreinfoPfn)
  let classifiedGuest = await classify()
  // Nobody stands still by us. What was decided of a guest that may run is decided again after it has waited.
  const mayWait = lease?.mode !== 'paused'
  if (mayWait && (await admission?.ask(classifiedGuest.estimate)) && guest.identity.kind === 'live') {
    classifiedGuest = await classify()
  }
  const { examined, cpus, source, rewritten, estimate } = classifiedGuest
  const { word } = examined
  // Waiting for room is no part of the dump's own time.
  const started = begun + (admission?.tookMs ?? 0)
  const classified = performance.now()
  options.onProgress?.({ stage: 'classify', done: 1, total: 1 })

  let after: GuestFigures | undefined
  let pausedMs = 0
  let released = false
  const release = async () => {
    after = await figuresOf(guest)
    const heldMs = (await lease?.resume()) ?? 0
    released = true
    pausedMs = heldMs === 0 ? 0 : heldMs + (rehearsal?.stoodMs ?? 0)
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
  if (!artifact || !pool) {
    await release()
    const times = { started, classified, written: classified, verified: classified }
    const planned = buildReport({ ...report, after: after ?? before, pausedMs, times, estimate })
    if (reportPath !== undefined) await publishReport(reportPath, planned)
    return planned
  }

  refuseUnlessFits(artifact.path, { atLeastBytes: estimate.atLeastBytes, freeBytes: admission?.freeBytes })
  const level = effectiveLevel(examined.policy)
  const { compression } = options
  const header = vmcoreHeaderOf({
    guest,
    pageBytes: source.memory.frameBytes,
    word,
    cpus,
    elfNotes: source.elfNotes,
    level,
    compression,
  })
  const start = { kdump: startKdump, flattened: startFlattened, elf: startElf }[options.format]
  const held = () => lease?.mode === 'paused' && !released
  const sink = timelySink(followedSink(artifact, options.follower, estimate.atMostBytes), held)
  const startWriter = () => start(sink, header, vmcoreFramesOf(source.plan))
  const copyBytes = lease?.mode === 'paused' ? options.memoryBytes : 0
  const { summary, copied } = await compressAndWrite({
    source,
    options,
    level,
    codec,
    pool,
    startWriter,
    copyBytes,
    store,
    release,
  })
  const written = performance.now()
  const sha256 = await readBack(artifact.partialPath, { summary, pool, options })
  const done = performance.now()
  const finished = buildReport({
    ...report,
    after: after ?? before,
    pausedMs,
    copied,
    times: { started, classified, written, verified: done },
    artifact: { file: artifact.path, sha256, verified: options.verify, summary },
  })
  options.signal?.throwIfAborted()
  await publish(artifact, reportPath ?? `${artifact.path}.report.json`, finished)
  return finished
}

/** Absolute paths. A dry run that names neither has none. Throws DumpError `INVALID_OPTION`. */
function pathsOf(options: DumpOptions): { output: string | undefined; reportPath: string | undefined } {
  const output = options.output === undefined ? undefined : resolve(options.output)
  if (output === undefined && !options.dryRun) {
    throw new DumpError('INVALID_OPTION', 'output: expected the path of a new file, found none')
  }
  const beside = output === undefined ? undefined : `${output}.report.json`
  const reportPath = options.reportPath === undefined ? beside : resolve(options.reportPath)
  if (output !== undefined && reportPath === output) {
    throw new DumpError('INVALID_OPTION', `report and output must be two files, both are ${output}`)
  }
  return { output, reportPath }
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

function refuseUnlessFits(
  path: string,
  { atLeastBytes, freeBytes }: { atLeastBytes: number; freeBytes: number | undefined },
): void {
  if (freeBytes === undefined || freeBytes >= atLeastBytes) return
  throw new DumpError(
    'NO_SPACE',
    `the artifact ${path} takes at least ${atLeastBytes} bytes, only ${freeBytes} are free there; nothing was written`,
  )
}

async function compressAndWrite(options: {
  source: DumpSource
  options: DumpOptions
  level: number
  codec: PageCodec | undefined
  pool: CompressPool
  startWriter: () => Promise<VmcoreWriter>
  copyBytes: number
  store: ReadyStore
  release: () => Promise<void>
}): Promise<{ summary: VmcoreSummary; copied: number }> {
  const { codec, pool, startWriter, copyBytes, store } = options
  const { memory, plan } = options.source
  const { frameBytes } = memory
  const total = plan.write.size + plan.zero.size
  const { onProgress, signal, follower, verify } = options.options
  return await writePages({
    memory,
    plan,
    pool,
    settings: {
      pageBytes: frameBytes,
      shareZeroPages: (options.level & levelBits.zero) !== 0,
      compressedFlag: codec ? pageFlags[codec.name] : 0,
      // What a follower took away before the file is read back is made sure of here.
      comparePages: follower?.takesEarly === true && verify,
    },
    maxCompressedBytes: codec?.maxCompressedBytes(frameBytes) ?? frameBytes,
    startWriter,
    copyBytes,
    store,
    onAllRead: options.release,
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress: (done: number) => onProgress({ stage: 'write', done, total }) } : {}),
  })
}

/** Memory for what a rehearsal found is to be written, and some more; none where that is more than may be used. */
function makeReady(store: ReadyStore, writeBytes: number, memoryBytes: number): void {
  if (writeBytes === 0 || writeBytes > memoryBytes) return
  const wanted = Math.min(memoryBytes, writeBytes + writeBytes / 8 + SPARE_BYTES)
  store.makeReady(Math.max(writeBytes, wanted - (wanted % SPARE_BYTES)))
}

/** Reads the file back, every page of it where that is wanted. Returns its sha256. */
async function readBack(
  path: string,
  { summary, pool, options }: { summary: VmcoreSummary; pool: CompressPool; options: DumpOptions },
): Promise<string> {
  const signal = options.signal ? { signal: options.signal } : {}
  if (!options.verify) return (await hashFile(path, options.signal)).sha256
  const verified = await verifyArtifact(path, { checker: pool.checker, ...signal, ...progressOf(options, 'verify') })
  refuseUnlessWhole(summary, verified)
  return verified.sha256
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

/** Report first under its partial name, then the artifact, then the report: an artifact is never without one for long. */
async function publish(artifact: LocalArtifact, reportPath: string, report: DumpReport): Promise<void> {
  await using reportFile = await writeReport(reportPath, report)
  await artifact.publish()
  try {
    await reportFile.publish()
  } catch (error) {
    await artifact.unpublish()
    throw error
  }
}

async function publishReport(reportPath: string, report: DumpReport): Promise<void> {
  await using reportFile = await writeReport(reportPath, report)
  await reportFile.publish()
}

/** The report in a file that has no name yet. */
async function writeReport(reportPath: string, report: DumpReport): Promise<LocalArtifact> {
  const reportFile = await LocalArtifact.create(reportPath)
  try {
    await reportFile.write(Buffer.from(`${JSON.stringify(report, null, 2)}\n`), 0)
    return reportFile
  } catch (error) {
    await reportFile[Symbol.asyncDispose]()
    throw error
  }
}
