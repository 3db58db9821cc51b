import type { PfnRange } from '@ullage/pages'

/** What this package needs of a guest; whoever runs it supplies it. */
export interface GuestView {
  /** Bytes in one frame, a power of two: 4096 on x86. */
  readonly frameBytes: number
  /**
   * The same guest in frames of `frameBytes` bytes, a power of two above this view's. Whoever runs an arm64 guest cannot
   * know how large its pages are before its kernel has been found. Undefined, or left out, where that is not to be had.
   */
  inFramesOf?(frameBytes: number): GuestView | undefined
  /** Guest RAM: ascending and disjoint. */
  readonly extents: readonly PfnRange[]
  readonly machine: 'x86_64' | 'aarch64'
  /**
   * Fills all of `into` (range.count * frameBytes bytes) and returns true, or returns false when a frame of `range` lies
   * outside guest RAM, has no memory behind it or cannot be read; `into` may then hold anything. Throws only when the
   * guest cannot be read at all.
   */
  tryRead(range: PfnRange, into: Uint8Array): boolean
  /**
   * The first frame at or after `pfn`, below `limit`, that `tryRead` may read; `limit` when there is none. A search of all memory
   * asks. Left out, every frame is tried.
   */
  nextReadable?(pfn: number, limit: number): number
  /**
   * From a frame number in a page table to the frame number of guest RAM: identity but for Xen PV, whose tables hold
   * machine frames. Undefined when no frame of guest RAM has that number.
   */
  toPfn(gfn: number): number | undefined
  /** True where `toPfn` gives every number back as it is, in guest RAM or not: it is then not asked about each. */
  readonly isIdentity?: boolean
}
