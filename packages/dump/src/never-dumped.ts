import { endOf, type PfnRange, PfnSet } from '@ullage/pages'
import { ClassRuns, GUEST_CLASS } from './frame-codes.ts'
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
  static find(extents: readonly PfnRange[], classify: (window: PfnRange, into: ClassRuns) => void): NeverDumped {
    const found = new NeverDumped()
    const classes = new ClassRuns()
    for (const window of windowsOf(extents)) {
      classify(window, classes)
      for (const run of classes.of(window)) found.#byClass.find(({ code }) => code === run.code)?.frames.add(run)
    }
    for (const { frames } of found.#byClass) for (const run of frames.allRuns()) found.#all.add(run)
    return found
  }

  /** All of them. */
  get frames(): PfnSet {
    return this.#all
  }

  /** Puts the class that each of them had into `classes`, those of `window`. */
  restore(window: PfnRange, classes: ClassRuns): void {
    if (this.#all.next(window.start, true, endOf(window)) === endOf(window)) return
    const codes = new Uint8Array(window.count)
    classes.writeTo(codes)
    for (const { code, frames } of this.#byClass) {
      for (const run of frames.runs(window)) codes.fill(code, run.start - window.start, endOf(run) - window.start)
    }
    classes.start(window.count)
    classes.addCodes(0, codes)
  }
}
