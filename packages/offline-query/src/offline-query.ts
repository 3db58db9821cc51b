import type { PfnRange } from '@ullage/pages'

/**
 * What the host says of one frame.
 *
 * - `backed`: there is memory behind it.
 * - `swapped`: it has content that is not resident. It must be read like a backed one, never treated as empty.
 * - `unbacked`: no memory there. Reading would allocate it, or yield nothing.
 * - `unknown`: cannot be told, or was not asked. Treated as backed.
 */
export type HostState = 'backed' | 'swapped' | 'unbacked' | 'unknown'

export const hostStates = ['backed', 'swapped', 'unbacked', 'unknown'] as const satisfies readonly HostState[]

export interface BackingRun extends PfnRange {
  readonly state: HostState
}

/** What a guest that read an unbacked frame would see: zeros (QEMU), or nothing at all (Xen, Hyper-V). */
export type UnbackedReads = 'zeros' | 'nothing'

/** Promises that the conformance suite holds a backend to. */
export interface OfflineCapabilities {
  /** Smallest run of frames that the backend can tell apart, in frames. */
  readonly granularity: number
  /** True when every answer describes one instant; false when the guest may change while it is asked. */
  readonly snapshot: boolean
  /** True when `swapped` is told apart from `backed`; false when swapped frames are called `backed`. */
  readonly tellsSwapped: boolean
  readonly unbackedReads: UnbackedReads
  /** True when every frame asked about costs a question to a hypervisor, so that `skip` saves something. Absent: false. */
  readonly costly?: boolean
}

/** What `backing` is asked. */
export interface BackingOptions {
  /** Frames to be told about, in guest RAM or not. */
  readonly within: PfnRange
  /**
   * Frames whose state the caller has no use for: ascending and disjoint, inside `within` or not. A backend whose
   * capabilities say `costly` asks the hypervisor about none of them: those in guest RAM are `unknown`, the others
   * `unbacked` as ever. Any other backend may do the same, or answer as if there were no `skip`.
   */
  readonly skip?: readonly PfnRange[]
  readonly signal?: AbortSignal
}

/** The one question every backend answers: which frames does the host back? */
export interface OfflineQuery {
  readonly capabilities: OfflineCapabilities
  /**
   * Host state of every frame of `within`: ascending, disjoint, gapless, maximal runs (neighbours differ in state).
   * Frames of `within` outside guest RAM are `unbacked`. Throws OfflineError when it cannot answer and AbortError when
   * `signal` is aborted, RangeError for a `within` or, where it is heeded, a `skip` that cannot be; never ends early. Reads
   * no guest memory and changes nothing in the guest or on the host.
   */
  backing(options: BackingOptions): AsyncIterable<BackingRun>
}
