import type { PfnRange, PfnSet } from '@ullage/pages'

/** One maximal run of frames with the same class, state and fate. Codes as in `frame-codes.ts`. */
export interface PlanRun extends PfnRange {
  readonly guestClass: number
  readonly hostState: number
  readonly fate: number
}

export interface DumpPlan {
  /** Bitmap 1: guest RAM less the frames that have neither a struct page nor memory. */
  readonly present: PfnSet
  /** Frames stored with their content. */
  readonly write: PfnSet
  /** Frames stored as zeros without being read. */
  readonly zero: PfnSet
  /** First frame number after the highest of `present`. */
  readonly maxPfn: number
  /** Number of frames of guest RAM. */
  readonly total: number
  /** counts[class * hostStates.length + state], in frames. */
  readonly counts: Float64Array
  /** Frames with each fate, indexed by fate code. */
  readonly fates: Float64Array
  /** Frames with something to tell, indexed by `NOTE`. */
  readonly notes: Float64Array
  /** Protected frames that are in use and that the host does not back. */
  readonly protectedUnbacked: number
  /** Frames in use by class that the host does not back and that nobody holds. */
  readonly idleUnbacked: number
  /** As in the policy: false where offline frames look as if they were in use. */
  readonly offlineTold: boolean
}
