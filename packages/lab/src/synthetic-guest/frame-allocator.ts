import { endOf, type PfnRange } from '@ullage/pages'
import { LabError } from '../lab-error.ts'

/** Gives out frames of guest RAM from one frame on, upwards; remembers them all. */
export class FrameAllocator {
  readonly taken: PfnRange[] = []
  readonly #extents: readonly PfnRange[]
  #next: number

  constructor(extents: readonly PfnRange[], from: number) {
    this.#extents = extents
    this.#next = from
  }

  /** First of `count` neighbouring frames, aligned to `align`. Throws LabError when no extent has so many left. */
  take(count = 1, align = 1): number {
    for (const extent of this.#extents) {
      const start = Math.ceil(Math.max(this.#next, extent.start) / align) * align
      if (start + count > endOf(extent)) continue
      this.#next = start + count
      this.taken.push({ start, count })
      return start
    }
    throw new LabError(`a synthetic guest has no ${count} frames left for its kernel from frame ${this.#next} on`)
  }
}
