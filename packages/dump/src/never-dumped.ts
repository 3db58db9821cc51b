import { endOf, type PfnRange, PfnSet } from '@ullage/pages'
import { GUEST_CLASS } from './frame-codes.ts'
import { windowsOf } from './windows-of.ts'

const CLASSES: readonly number[] = [GUEST_CLASS.offline, GUEST_CLASS.hwpoison, GUEST_CLASS.unaccepted]

/** Frames that the guest's word leaves out at every level, as it was when they were looked at: a bit each. */
export class NeverDumped {
  readonly #byClass: readonly { readonly code: number; readonly frames: PfnSet }[]
  readonly #all = new PfnSet()

  private constructor() {
    this.#byClass = CLASSES.map((code) => ({ code, frames: new PfnSet() }))
  }

  /** Finds them. Throws what `classify` throws. */
  static find(extents: readonly PfnRange[], classify: (window: PfnRange, into: Uint8Array) => void): NeverDumped {
    const found = new NeverDumped()
    let classes = new Uint8Array(0)
    for (const window of windowsOf(extents)) {
      if (classes.length < window.count) classes = new Uint8Array(window.count)
      classify(window, classes)
      for (const { code, frames } of found.#byClass) addRuns(frames, window, classes, code)
    }
    for (const { frames } of found.#byClass) for (const run of frames.allRuns()) found.#all.add(run)
    return found
  }

  /** All of them. */
  get frames(): PfnSet {
    return this.#all
  }

  /** Writes the class that each of them had into `into`, which holds the classes of `window`. */
  restore(window: PfnRange, into: Uint8Array): void {
    for (const { code, frames } of this.#byClass) {
      for (const run of frames.runs(window)) into.fill(code, run.start - window.start, endOf(run) - window.start)
    }
  }
}

function addRuns(frames: PfnSet, window: PfnRange, classes: Uint8Array, code: number): void {
  for (let at = classes.indexOf(code); at !== -1 && at < window.count; at = classes.indexOf(code, at)) {
    const start = at
    while (at < window.count && classes[at] === code) at++
    frames.add({ start: window.start + start, count: at - start })
  }
}
