import type { PfnRange } from '@ullage/pages'

/** What a Dynamic Memory host knows of a guest's frames. Ranges are ascending and disjoint, in frames of 4096 bytes. */
export interface DmRanges {
  /** Given to the host by the guest and not given back. */
  readonly ballooned: readonly PfnRange[]
  /** Added while the guest ran, by the guest's own answer. */
  readonly hotAdded: readonly PfnRange[]
  /** Asked to be added, and not answered yet. */
  readonly perhapsAdded: readonly PfnRange[]
  /** Whether `ballooned` is all that is ballooned. */
  readonly knowsBallooned: boolean
  /** Whether `hotAdded` and `perhapsAdded` are all that was added. */
  readonly knowsHotAdded: boolean
}
