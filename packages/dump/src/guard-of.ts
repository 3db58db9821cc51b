import type { OpenGuest } from '@ullage/offline-query'
import { countFrames, mergeRanges, type PfnRange } from '@ullage/pages'
import { askWitnesses } from './ask-witnesses.ts'
import { ClassRuns, GUEST_CLASS, HOST_STATE } from './frame-codes.ts'
import { type GuardedRange, guardedRanges } from './guard-ranges.ts'
import { type GiveBack, giveBack } from './give-back.ts'
import { MissingFrames } from './missing-frames.ts'
import { type MissingRun, missingIn, missingOutside, type Touch } from './missing-runs.ts'
import { type GuestSummary, summarizeGuest, type Warning } from './report.ts'
import type { Trust } from './verdict.ts'
import { WINDOW_FRAMES, windowsOf } from './windows-of.ts'

export interface GuardOptions {
  /** Guest physical addresses to guard, half-open; what the guest has loaded to kexec into when there are none. */
  readonly asked: readonly { readonly startBytes: number; readonly endBytes: number }[]
  /** Stops the guest while it is asked. */
  readonly pause: boolean
  readonly trust?: Trust
  readonly signal?: AbortSignal
}

/** Counts and ranges in frames of `frameBytes` bytes, the guest's own pages where their size is known. */
export interface GuardReport {
  readonly guest: GuestSummary
  readonly frameBytes: number
  readonly ranges: readonly (GuardedRange & { readonly missing: number })[]
  /** Disjoint; a frame that lies in several ranges is told once. First what is no guest RAM, then ascending; 65,536 at most. */
  readonly missing: readonly MissingRun[]
  /** Missing frames in runs that are not listed. */
  readonly unlisted: number
  readonly frames: { readonly guarded: number; readonly missing: Readonly<Record<Touch, number>> }
  /** Whether the guest may jump: every frame is there, or is filled when touched. */
  readonly safe: boolean
  /** What the host has to do; absent when all that is missing was never touched, or no balloon can have it. */
  readonly giveBack?: GiveBack
  readonly trust: Trust
  readonly consistency: { readonly mode: 'paused' | 'live' | 'stopped' | 'file'; readonly pausedMs: number }
  readonly warnings: readonly Warning[]
}

/**
 * Tells which frames that a guest needs to kexec are not there. Pauses nothing but when asked. Throws DumpError
 * `KEXEC_UNKNOWN`, and what the backend throws.
 */
export async function guardOf(guest: OpenGuest, options: GuardOptions): Promise<GuardReport> {
  const signal = options.signal ? { signal: options.signal } : {}
  const { backing } = guest
  await using lease = options.pause || guest.identity.kind === 'file' ? await guest.pause(signal) : undefined
  const hasNotes = lease !== undefined || backing.capabilities.costly === true
  const elfNotes = hasNotes ? (await guest.notes(signal)).elfNotes : new Uint8Array()
  const { word, host, memory, classify } = await askWitnesses(guest, {
    trust: options.trust ?? 'guest',
    elfNotes,
    expectVcpus: lease !== undefined && guest.identity.kind === 'live',
    ...signal,
  })
  const devices = await guest.memoryDevices?.(signal)
  const ours = (ranges: readonly PfnRange[]) => mergeRanges(ranges.map((range) => inFrames(range, guest, memory)))
  const guarded = guardedRanges(word.linux, {
    asked: options.asked.map(({ startBytes, endBytes }) => covering(startBytes, endBytes, memory.frameBytes)),
    frameBytes: memory.frameBytes,
    whyNoWord: word.warnings[0]?.text,
  })
  const all = mergeRanges(guarded.ranges)
  const extents = mergeRanges(memory.extents)
  const pluggable = ours(devices?.pluggable ?? [])
  const offlineTold = word.linux?.offlineTold ?? true
  const missing = new MissingFrames(extents, { offlineTold })
  for (const run of missingOutside(all, extents)) missing.add(run)
  const runs = new ClassRuns()
  const classes = new Uint8Array(WINDOW_FRAMES)
  const states = new Uint8Array(WINDOW_FRAMES)
  let offline = 0
  for (const window of windowsOf(extents)) {
    options.signal?.throwIfAborted()
    classify(window, runs)
    runs.writeTo(classes)
    host.fill(window, states)
    for (let i = 0; i < window.count; i++) {
      const isUntold = !word.linux?.offlineTold && classes[i] !== GUEST_CLASS.free && states[i] === HOST_STATE.unbacked
      if (classes[i] === GUEST_CLASS.offline || isUntold) offline++
    }
    const words = { window, classes, states }
    for (const run of missingIn(words, all, { reads: backing.capabilities.unbackedReads, pluggable })) missing.add(run)
  }
  const pausedMs = lease ? await lease.resume() : 0
  const todo = giveBack(missing, { ballooned: devices?.ballooned && ours(devices.ballooned), offline })
  const isKnown = guarded.complete || backing.capabilities.unbackedReads === 'zeros'
  return {
    guest: summarizeGuest(guest, word.linux, memory),
    frameBytes: memory.frameBytes,
    ranges: guarded.ranges.map((range) => ({ ...range, missing: missing.countIn(range) })),
    missing: missing.listed,
    unlisted: missing.unlisted,
    frames: { guarded: countFrames(all), missing: missing.byTouch },
    safe: missing.byTouch.nothing === 0 && isKnown,
    ...(todo && { giveBack: todo }),
    trust: word.trust,
    consistency: { mode: lease?.mode ?? 'live', pausedMs: Math.round(pausedMs) },
    warnings: [...guest.warnings, ...word.warnings, ...guarded.warnings],
  }
}

/** Frames that the bytes from `startBytes` to `endBytes` lie in. */
function covering(startBytes: number, endBytes: number, frameBytes: number): PfnRange {
  const start = Math.floor(startBytes / frameBytes)
  return { start, count: Math.ceil(endBytes / frameBytes) - start }
}

/** `range` of the backend's frames in those that the guest is looked at in. */
function inFrames({ start, count }: PfnRange, from: OpenGuest, to: { readonly frameBytes: number }): PfnRange {
  const bytes = from.memory.frameBytes
  return covering(start * bytes, (start + count) * bytes, to.frameBytes)
}
