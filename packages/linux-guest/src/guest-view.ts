import type { PfnRange } from '@ullage/pages'

/** What this package needs of a guest; whoever runs it supplies it. */
export interface GuestView {
  /** Bytes in one frame, a power of two: 4096 on x86. */
  readonly frameBytes: number
  /** Guest RAM: ascending and disjoint. */
  readonly extents: readonly PfnRange[]
  readonly machine: 'x86_64' | 'aarch64'
  /**
   * Fills all of `into` (range.count * frameBytes bytes) or throws. Called only with ranges for which `isReadable` has
   * just said yes.
   */
  read(range: PfnRange, into: Uint8Array): void
  /** True when every frame of `range` lies in guest RAM and has memory behind it on the host, resident or swapped. */
  isReadable(range: PfnRange): boolean
  /**
   * From a frame number in a page table to the frame number of guest RAM: identity but for Xen PV, whose tables hold
   * machine frames. Undefined when no frame of guest RAM has that number.
   */
  toPfn(gfn: number): number | undefined
}
