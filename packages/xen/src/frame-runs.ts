const INITIAL = 256

/** Runs of numbers that count up together: `from + i` goes with `to + i * step`, for i from 0 to count - 1. */
export interface FrameRun {
  readonly from: number
  readonly to: number
  readonly count: number
}

/**
 * Runs that one map of a guest's frames may have: 192 MiB. A guest of 32 GiB of which no two frames stand together fits.
 */
export const MAX_RUNS = 2 ** 23

/**
 * A map of frame numbers as runs in typed arrays, 24 bytes each: real guests have few, and the worst one no more than
 * entries, so whoever fills a map from a file holds its `length` against `MAX_RUNS`. Numbers are safe integers.
 */
export class FrameRuns {
  /** By how much `to` grows from one frame to the next: 1, or the bytes of a page where `to` is a place in a file. */
  readonly step: number
  #from = new Float64Array(INITIAL)
  #to = new Float64Array(INITIAL)
  #count = new Float64Array(INITIAL)
  #length = 0

  constructor(step = 1) {
    this.step = step
  }

  /** Number of runs. */
  get length(): number {
    return this.#length
  }

  /** First number after the last run, 0 when there is none. */
  get end(): number {
    const last = this.#length - 1
    return last < 0 ? 0 : (this.#from[last] as number) + (this.#count[last] as number)
  }

  /** Appends `from` → `to`. Runs must be appended with ascending `from`, or the map is no more than a list. */
  add(from: number, to: number): void {
    this.addRun({ from, to, count: 1 })
  }

  /** Appends a run, as `add` each of its numbers. */
  addRun(run: FrameRun): void {
    const last = this.#length - 1
    if (last >= 0) {
      const count = this.#count[last] as number
      if (
        (this.#from[last] as number) + count === run.from &&
        (this.#to[last] as number) + count * this.step === run.to
      ) {
        this.#count[last] = count + run.count
        return
      }
    }
    this.#append(run)
  }

  at(index: number): FrameRun {
    if (index < 0 || index >= this.#length) throw new RangeError(`there is no run ${index} of ${this.#length}`)
    return {
      from: this.#from[index] as number,
      to: this.#to[index] as number,
      count: this.#count[index] as number,
    }
  }

  /** Sum of all counts. */
  countFrames(): number {
    let frames = 0
    for (let i = 0; i < this.#length; i++) frames += this.#count[i] as number
    return frames
  }

  /** Index of the first run that ends after `from`: the one that holds it, or the next; `length` when there is none. */
  firstEndingAfter(from: number): number {
    let low = 0
    let high = this.#length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#from[middle] as number) + (this.#count[middle] as number) > from) high = middle
      else low = middle + 1
    }
    return low
  }

  /** What `from` goes with, or undefined. */
  get(from: number): number | undefined {
    const index = this.firstEndingAfter(from)
    if (index === this.#length) return undefined
    const start = this.#from[index] as number
    return from < start ? undefined : (this.#to[index] as number) + (from - start) * this.step
  }

  #append(run: FrameRun): void {
    if (this.#length === this.#from.length) {
      this.#from = grown(this.#from)
      this.#to = grown(this.#to)
      this.#count = grown(this.#count)
    }
    this.#from[this.#length] = run.from
    this.#to[this.#length] = run.to
    this.#count[this.#length] = run.count
    this.#length++
  }
}

function grown(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2)
  larger.set(array)
  return larger
}
