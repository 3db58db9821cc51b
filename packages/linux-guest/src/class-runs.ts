import type { PfnRange } from '@ullage/pages'

/** No class has this code. */
const NO_CLASS = -1

/**
 * Classes of the frames of one window, as runs: frames are alike in their hundreds, and a run costs what a frame would.
 * Run `i` has class code `codes[i]` and starts at `starts[i]`, which counts frames from the start of the window; it reaches to
 * the start of the next one, the last to the end of the window. Neighbours differ in class. Made once, filled again for every
 * window.
 */
export class ClassRuns {
  /** Number of runs. */
  length = 0
  starts = new Int32Array(0)
  codes = new Uint8Array(0)
  /** Frames in the window. */
  #frames = 0
  /** Frames that have a class so far, and the class of the last of them. */
  #end = 0
  #code = NO_CLASS

  /** Forgets all runs; the next ones are those of a window of `frames` frames. */
  start(frames: number): void {
    if (this.starts.length < frames) {
      this.starts = new Int32Array(frames)
      this.codes = new Uint8Array(frames)
    }
    this.length = 0
    this.#frames = frames
    this.#end = 0
    this.#code = NO_CLASS
  }

  /**
   * All frames up to `end`, from the start of the window, that have no class yet have this one. Frames outside the window
   * are ignored.
   */
  addUpTo(end: number, code: number): void {
    const start = this.#end
    const to = end < this.#frames ? end : this.#frames
    if (to <= start) return
    this.#end = to
    if (code === this.#code) return
    this.#code = code
    const index = this.length
    this.starts[index] = start
    this.codes[index] = code
    this.length = index + 1
  }

  /** Adds a class for each frame from `at` on, which counts from the start of the window: all before it have theirs. */
  addCodes(at: number, codes: Uint8Array): void {
    for (let i = 0; i < codes.length; i++) this.addUpTo(at + i + 1, codes[i] as number)
  }

  /** Where run `i` ends, in frames from the start of the window. */
  endOf(i: number): number {
    return i + 1 < this.length ? (this.starts[i + 1] as number) : this.#end
  }

  /** The runs as frames of `window`, the one they were found in. */
  *of(window: PfnRange): Generator<PfnRange & { readonly code: number }> {
    for (let i = 0; i < this.length; i++) {
      const start = this.starts[i] as number
      yield { start: window.start + start, count: this.endOf(i) - start, code: this.codes[i] as number }
    }
  }

  /** Writes the class of each frame of the window into `into`. */
  writeTo(into: Uint8Array): void {
    for (let i = 0; i < this.length; i++) into.fill(this.codes[i] as number, this.starts[i] as number, this.endOf(i))
  }
}
