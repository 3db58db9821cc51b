import { basename } from 'node:path'
import type { GuestRam } from '@ullage/host-memory'
import { type BackingRun, OfflineError, type OpenGuest } from '@ullage/offline-query'
import { countFrames, endOf, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import { type HvBalloonReport, hvBalloonReport, type QmpClient } from '@ullage/qemu'
import type { LiveLook, SecondWitness } from '@ullage/qemu-guest'
import { channelWarnings } from '../channel-warnings.ts'
import { dmHostWord } from '../dm-host-word.ts'
import type { DmRanges } from '../dm-ranges.ts'
import { DmTrace } from './dm-trace.ts'
import { parseTraceEvent } from './trace-event.ts'
import { TraceFile } from './trace-file.ts'

const FRAME_BYTES = 4096

type Warning = OpenGuest['warnings'][number]

/**
 * Dynamic Memory's word on a live guest, from QEMU's trace: it decides where the memory itself tells nothing, and is held
 * against it, and against what QEMU says of its balloon, everywhere else.
 */
export class TraceWitness implements SecondWitness {
  readonly #file: TraceFile | undefined
  #trace: DmTrace | undefined
  #ram: readonly PfnRange[] = []
  #unbacked = new PfnSet()
  #ballooned: readonly PfnRange[] | undefined

  /** Without `path` nothing is known but what QEMU tells. Throws OfflineError `INVALID`. */
  constructor(path: string | undefined) {
    this.#file = path === undefined ? undefined : new TraceFile(path)
  }

  async look({ client, ram, signal }: LiveLook): Promise<readonly Warning[]> {
    const before = await reportOf(client, signal)
    if (!this.#file) return untold(before, ram)
    const trace = await this.#readOn(this.#file, { ram: withHotAdd(ram, before), signal })
    const ranges = trace.ranges()
    const after = await reportOf(client, signal)
    // Merged: pages that QEMU lays over RAM do not cut it.
    const word = dmHostWord(mergeRanges(ram.extents), [ranges])
    this.#unbacked = word.unbacked
    this.#ballooned = ranges.knowsBallooned ? ranges.ballooned : undefined
    const about = basename(this.#file.path)
    return [
      ...unreliable(trace, about),
      ...channelWarnings(trace.state, { about, messages: trace.events }),
      // The balloon may have moved between the question and the reading: nothing is said then.
      ...(before.actualBytes === after.actualBytes ? otherSum(ranges, { report: after, about }) : []),
      ...stillBacked(ram, this.#unbacked),
    ]
  }

  *refine(runs: Iterable<BackingRun>): Iterable<BackingRun> {
    for (const run of runs) {
      if (run.state !== 'unknown') {
        yield run
        continue
      }
      const end = endOf(run)
      for (let at = run.start; at < end; ) {
        const isUnbacked = this.#unbacked.has(at)
        const next = this.#unbacked.next(at, !isUnbacked, end)
        yield { start: at, count: next - at, state: isUnbacked ? 'unbacked' : 'unknown' }
        at = next
      }
    }
  }

  ballooned(): readonly PfnRange[] | undefined {
    return this.#ballooned
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]()
  }

  /** Takes the events that came since the last look; all of them when the guest has got other RAM meanwhile. */
  async #readOn(
    file: TraceFile,
    options: { ram: readonly PfnRange[]; signal: AbortSignal | undefined },
  ): Promise<DmTrace> {
    const { ram, signal } = options
    let trace = this.#trace
    if (!trace || !isSame(ram, this.#ram)) {
      file.rewind()
      trace = new DmTrace(ram)
      this.#trace = trace
      this.#ram = ram
    }
    for await (const line of file.lines(signal)) {
      const event = parseTraceEvent(line)
      if (event) trace.take(event)
    }
    if (file.isReplaced()) trace.cut()
    return trace
  }
}

async function reportOf(client: QmpClient, signal: AbortSignal | undefined): Promise<HvBalloonReport> {
  const report = await hvBalloonReport(client, { signal })
  if (report) return report
  const todo = 'dump its guest with backend "virtio-balloon"'
  throw new OfflineError(
    'INVALID',
    `expected a qemu with an hv-balloon device at ${client.socketPath}, found none: ${todo}`,
  )
}

/** Guest RAM, and what is set aside for hot-add, of which QEMU shows the guest more and more. */
function withHotAdd(ram: GuestRam, { hotAdd }: HvBalloonReport): PfnRange[] {
  const aside = hotAdd ? [{ start: hotAdd.startBytes / FRAME_BYTES, count: hotAdd.maxSizeBytes / FRAME_BYTES }] : []
  return mergeRanges([...ram.extents, ...aside])
}

function isSame(a: readonly PfnRange[], b: readonly PfnRange[]): boolean {
  return a.length === b.length && a.every(({ start, count }, i) => start === b[i]?.start && count === b[i]?.count)
}

function untold({ hotAdd }: HvBalloonReport, ram: GuestRam): Warning[] {
  const shown = hotAdd ? ram.extents.filter(({ name }) => name === hotAdd.memdev) : []
  if (!hotAdd || shown.length === 0) return []
  const text =
    `the guest is shown ${countFrames(shown)} frames of ${hotAdd.memdev}, and qemu does not tell how many of them were ` +
    `hot-added: name its trace in the descriptor ("trace") to know`
  return [{ code: 'HOT_ADD_UNTOLD', text }]
}

function unreliable(trace: DmTrace, about: string): Warning[] {
  const warnings: Warning[] = []
  if (trace.isCut) {
    const text = `${about} was cut or replaced while it was read: nothing in it is relied on`
    warnings.push({ code: 'DM_TRACE_CUT', text })
  }
  if (trace.unreadable.size > 0) {
    const events = [...trace.unreadable].map(([name, count]) => `hv_balloon_${name} ${count}`).join(', ')
    const text = `${about} has events of no known form (${events}): nothing in it is relied on`
    warnings.push({ code: 'DM_TRACE_UNREADABLE', text })
  }
  return warnings
}

/** QEMU counts what is ballooned and given back to the host; it knows no ranges. */
function otherSum(ranges: DmRanges, options: { report: HvBalloonReport; about: string }): Warning[] {
  if (!ranges.knowsBallooned || !ranges.knowsHotAdded || ranges.perhapsAdded.length > 0) return []
  const { report, about } = options
  const added = countFrames(ranges.hotAdded)
  const out = report.fixedBytes / FRAME_BYTES + added - report.actualBytes / FRAME_BYTES
  const traced = countFrames(ranges.ballooned)
  if (traced === out) return []
  const text =
    `${traced} frames are ballooned out by ${about}, ${out} by qemu's query-balloon: check that it is the trace of this ` +
    `qemu; frames that the guest gave and qemu could not take make a difference too`
  return [{ code: 'DM_TRACE_DIFFERS', text }]
}

function stillBacked(ram: GuestRam, unbacked: PfnSet): Warning[] {
  let frames = 0
  for (const extent of ram.extents) {
    for (const run of ram.backing(extent)) {
      if (run.state === 'backed' || run.state === 'swapped') frames += unbacked.countIn(run)
    }
  }
  if (frames === 0) return []
  const text = `${frames} frames that Dynamic Memory says are ballooned out or were never added have memory on the host, whose word counts`
  return [{ code: 'BACKING_DIFFERS', text }]
}
