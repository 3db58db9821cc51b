import type { OpenGuest } from '@ullage/offline-query'
import { cutRange, endOf, intersect, mergeRanges, type PfnRange } from '@ullage/pages'
import { askWitnesses } from './ask-witnesses.ts'
import { GUEST_CLASS, type GuestClass, guestClasses, HOST_STATE, type HostState, hostStates } from './frame-codes.ts'
import { type GuardedRange, guardedRanges } from './guard-ranges.ts'
import { type GiveBack, giveBack } from './give-back.ts'
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

/**
 * What a guest that jumps meets at a frame that is not all there.
 *
 * - `nothing`: writes are lost, reads give nothing: it does not come up.
 * - `filled`: the host gives memory at the first touch, more than it wanted to give.
 * - `taken`: the memory is there, but the guest has given it away: it can go at any moment.
 */
export type Touch = 'nothing' | 'filled' | 'taken'

/** A maximal run of frames that are offline or unbacked. `guest` is null outside guest RAM. */
export interface MissingRun extends PfnRange {
  readonly guest: GuestClass | null
  readonly host: HostState
  readonly touch: Touch
}

/** Counts and ranges in frames of `frameBytes` bytes, the guest's own pages where their size is known. */
export interface GuardReport {
  readonly guest: GuestSummary
  readonly frameBytes: number
  readonly ranges: readonly (GuardedRange & { readonly missing: number })[]
  /** Ascending, disjoint; a frame that lies in several ranges is told once. */
  readonly missing: readonly MissingRun[]
  readonly frames: { readonly guarded: number; readonly missing: Readonly<Record<Touch, number>> }
  /** Whether the guest may jump: every frame is there, or is filled when touched. */
  readonly safe: boolean
  /** What the host has to do; absent when all that is missing was never touched. */
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
  const missing: MissingRun[] = outside(all, extents)
  const classes = new Uint8Array(WINDOW_FRAMES)
  const states = new Uint8Array(WINDOW_FRAMES)
  let offline = 0
  for (const window of windowsOf(extents)) {
    options.signal?.throwIfAborted()
    classify(window, classes)
    host.fill(window, states)
    for (let i = 0; i < window.count; i++) {
      const isUntold = !word.linux?.offlineTold && classes[i] !== GUEST_CLASS.free && states[i] === HOST_STATE.unbacked
      if (classes[i] === GUEST_CLASS.offline || isUntold) offline++
    }
    for (const range of all) {
      const part = intersect(range, window)
      if (!part) continue
      for (const run of runsOf(part, window, { classes, states })) {
        for (const piece of cutRange(run, pluggable)) {
          const { start, count } = piece
          const touch = touchOf(run, { reads: backing.capabilities.unbackedReads, pluggable: piece.inside })
          if (touch)
            missing.push({
              start,
              count,
              guest: guestClasses[run.guestClass] as GuestClass,
              host: hostStates[run.hostState] as HostState,
              touch,
            })
        }
      }
    }
  }
  const pausedMs = lease ? await lease.resume() : 0
  const runs = joined(missing)
  const lost = runs.filter(({ guest: word, touch }) => touch === 'nothing' || word === 'offline' || word === 'unknown')
  const frames = { nothing: 0, filled: 0, taken: 0 }
  for (const { count, touch } of runs) frames[touch] += count
  const inRanges = mergeRanges(runs)
  const isKnown = guarded.complete || backing.capabilities.unbackedReads === 'zeros'
  return {
    guest: summarizeGuest(guest, word.linux, memory),
    frameBytes: memory.frameBytes,
    ranges: guarded.ranges.map((range) => ({ ...range, missing: countIn(range, inRanges) })),
    missing: runs,
    frames: { guarded: all.reduce((sum, { count }) => sum + count, 0), missing: frames },
    safe: frames.nothing === 0 && isKnown,
    ...(lost.length > 0 && {
      giveBack: giveBack(lost, { ballooned: devices?.ballooned && ours(devices.ballooned), offline }),
    }),
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

interface CodedRun extends PfnRange {
  readonly guestClass: number
  readonly hostState: number
}

function* runsOf(
  part: PfnRange,
  window: PfnRange,
  { classes, states }: { classes: Uint8Array; states: Uint8Array },
): Generator<CodedRun> {
  for (let at = part.start; at < endOf(part); ) {
    const guestClass = classes[at - window.start] as number
    const hostState = states[at - window.start] as number
    let end = at + 1
    while (
      end < endOf(part) &&
      classes[end - window.start] === guestClass &&
      states[end - window.start] === hostState
    ) {
      end++
    }
    yield { start: at, count: end - at, guestClass, hostState }
    at = end
  }
}

/**
 * Undefined for a frame that is there. What virtio-mem has not plugged must not be touched (virtio 1.2, 5.15.6), and of a
 * frame in its region nobody tells whether it is unplugged or ballooned.
 */
function touchOf(
  { guestClass, hostState }: CodedRun,
  { reads, pluggable }: { reads: 'zeros' | 'nothing'; pluggable: boolean },
): Touch | undefined {
  const isOffline = guestClass === GUEST_CLASS.offline
  const isUnbacked = hostState === HOST_STATE.unbacked
  if (!isOffline && !isUnbacked) return undefined
  if (hostState === HOST_STATE.backed || hostState === HOST_STATE.swapped) return 'taken'
  if (reads === 'nothing' || pluggable || guestClass === GUEST_CLASS.noStructPage) return 'nothing'
  return 'filled'
}

function outside(ranges: readonly PfnRange[], extents: readonly PfnRange[]): MissingRun[] {
  return ranges.flatMap((range) =>
    [...cutRange(range, extents)]
      .filter(({ inside }) => !inside)
      .map(({ start, count }) => ({ start, count, guest: null, host: 'unbacked' as const, touch: 'nothing' as const })),
  )
}

/** Ascending, and in one run what windows and ranges had cut. */
function joined(runs: readonly MissingRun[]): MissingRun[] {
  const result: MissingRun[] = []
  for (const run of [...runs].sort((a, b) => a.start - b.start)) {
    const last = result.at(-1)
    const continues =
      last &&
      endOf(last) === run.start &&
      last.guest === run.guest &&
      last.host === run.host &&
      last.touch === run.touch
    if (continues) result[result.length - 1] = { ...last, count: last.count + run.count }
    else result.push(run)
  }
  return result
}

function countIn(range: PfnRange, ranges: readonly PfnRange[]): number {
  let frames = 0
  for (const piece of cutRange(range, ranges)) if (piece.inside) frames += piece.count
  return frames
}
