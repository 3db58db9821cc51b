import { cutRange, endOf, type PfnRange, PfnSet } from '@ullage/pages'

/**
 * Frames gathered in ascending order: a bit each in guest RAM, and as ranges outside it, where whoever names addresses may
 * name any number of frames.
 */
export class RamAndBeyond {
  readonly #extents: readonly PfnRange[]
  readonly #ram = new PfnSet()
  readonly #beyond: { start: number; count: number }[] = []
  #beyondFrames = 0

  /** @param extents guest RAM, ascending and disjoint. */
  constructor(extents: readonly PfnRange[]) {
    this.#extents = extents
  }

  get size(): number {
    return this.#ram.size + this.#beyondFrames
  }

  /** `range` is disjoint from all that was added before, and what it has outside guest RAM lies above that of all before. */
  add(range: PfnRange): void {
    for (const { start, count, inside } of cutRange(range, this.#extents)) {
      if (inside) {
        this.#ram.add({ start, count })
        continue
      }
      this.#beyondFrames += count
      const last = this.#beyond.at(-1)
      if (last && endOf(last) === start) last.count += count
      else this.#beyond.push({ start, count })
    }
  }

  /** Number of frames inside `within`. */
  countIn(within: PfnRange): number {
    let frames = 0
    for (const { start, count, inside } of cutRange(within, this.#extents)) {
      if (inside) frames += this.#ram.countIn({ start, count })
      else for (const piece of cutRange({ start, count }, this.#beyond)) if (piece.inside) frames += piece.count
    }
    return frames
  }
}
