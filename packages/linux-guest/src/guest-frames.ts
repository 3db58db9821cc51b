import { endOf, findRange, type PfnRange } from '@ullage/pages'
import type { GuestView } from './guest-view.ts'

/** Reads guest frames, never one that lies outside guest RAM or that the host does not back. */
export class GuestFrames {
  readonly view: GuestView
  readonly frameBytes: number
  readonly frameShift: number
  /** Frames of guest RAM that one by one could not be read; each as often as it was tried. */
  missed = 0
  readonly #inFramesOf = new Map<number, GuestFrames | undefined>()

  constructor(view: GuestView) {
    this.view = view
    this.frameBytes = view.frameBytes
    this.frameShift = 31 - Math.clz32(view.frameBytes)
  }

  /** The same guest in frames of another size; undefined where it is not to be had so. */
  inFramesOf(frameBytes: number): GuestFrames | undefined {
    if (frameBytes === this.frameBytes) return this
    if (this.view.machine === 'x86_64' || frameBytes < this.frameBytes) return undefined
    if (!this.#inFramesOf.has(frameBytes)) {
      const view = this.view.inFramesOf?.(frameBytes)
      this.#inFramesOf.set(frameBytes, view && new GuestFrames(view))
    }
    return this.#inFramesOf.get(frameBytes)
  }

  /** The frame of `other`, whose frames are not smaller, that holds frame `pfn`. */
  pfnIn(other: GuestFrames, pfn: number): number {
    return Math.floor((pfn * this.frameBytes) / other.frameBytes)
  }

  /** Whether `pfn` is a frame of guest RAM, backed or not. */
  isRam(pfn: number): boolean {
    return findRange(this.view.extents, pfn) !== -1
  }

  /** Frames of guest RAM. */
  get count(): number {
    return this.view.extents.reduce((frames, extent) => frames + extent.count, 0)
  }

  /** First frame after guest RAM. */
  get end(): number {
    const last = this.view.extents.at(-1)
    return last ? endOf(last) : 0
  }

  /** The first frame at or after `pfn`, below `limit`, that may be readable; `limit` when there is none. */
  nextReadable(pfn: number, limit: number): number {
    return this.view.nextReadable?.(pfn, limit) ?? pfn
  }

  /** Fills `into` with one frame and returns true, or returns false. */
  readFrame(pfn: number, into: Uint8Array): boolean {
    if (this.view.tryRead({ start: pfn, count: 1 }, into)) return true
    if (this.isRam(pfn)) this.missed++
    return false
  }

  /**
   * Reads what can be read of `range`; `readable[at + i]` becomes 1 for a frame that was read and 0 for one that was
   * not, whose bytes in `into` become 0xff. Returns how many were not.
   */
  readWhatCanBe(range: PfnRange, into: Uint8Array, readable: Uint8Array, at: number): number {
    if (this.view.tryRead(range, into)) {
      readable.fill(1, at, at + range.count)
      return 0
    }
    if (range.count === 1) {
      into.fill(0xff)
      readable[at] = 0
      return 1
    }
    const half = range.count >>> 1
    const split = half * this.frameBytes
    const first = { start: range.start, count: half }
    const second = { start: range.start + half, count: range.count - half }
    return (
      this.readWhatCanBe(first, into.subarray(0, split), readable, at) +
      this.readWhatCanBe(second, into.subarray(split), readable, at + half)
    )
  }
}
