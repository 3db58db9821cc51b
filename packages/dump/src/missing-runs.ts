import { cutRange, endOf, type PfnRange } from '@ullage/pages'
import { GUEST_CLASS, type GuestClass, guestClasses, HOST_STATE, type HostState, hostStates } from './frame-codes.ts'

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

/** The two words on one window: a code for each of its frames. */
export interface WindowWords {
  readonly window: PfnRange
  readonly classes: Uint8Array
  readonly states: Uint8Array
}

/** Runs of `ranges` inside one window that are offline or unbacked. `ranges` and `pluggable`: ascending and disjoint. */
export function* missingIn(
  { window, classes, states }: WindowWords,
  ranges: readonly PfnRange[],
  options: { reads: 'zeros' | 'nothing'; pluggable: readonly PfnRange[] },
): Generator<MissingRun> {
  const { reads, pluggable } = options
  for (const part of cutRange(window, ranges)) {
    if (!part.inside) continue
    for (const run of runsOf(part, window, { classes, states })) {
      for (const { start, count, inside } of cutRange(run, pluggable)) {
        const touch = touchOf(run, { reads, pluggable: inside })
        const guest = guestClasses[run.guestClass] ?? null
        if (touch) yield { start, count, guest, host: hostStates[run.hostState] ?? 'unknown', touch }
      }
    }
  }
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

export function missingOutside(ranges: readonly PfnRange[], extents: readonly PfnRange[]): MissingRun[] {
  return ranges.flatMap((range) =>
    [...cutRange(range, extents)]
      .filter(({ inside }) => !inside)
      .map(({ start, count }) => ({ start, count, guest: null, host: 'unbacked' as const, touch: 'nothing' as const })),
  )
}
