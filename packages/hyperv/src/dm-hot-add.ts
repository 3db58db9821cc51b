import { mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import type { DmFaults } from './dm-fault.ts'
import type { RamFrames } from './ram-frames.ts'

/** Requests that may wait for an answer. The protocol has one. */
const MAX_OPEN = 64

/** The frames that were hot-added: of each range asked for, as many from its start as the guest's answer counts. */
export class DmHotAdd {
  readonly #ram: RamFrames
  readonly #faults: DmFaults
  readonly #added = new PfnSet()
  readonly #open: (PfnRange | undefined)[] = []
  /** Whether `added` and `open` are all there is. */
  #isComplete = true

  constructor(ram: RamFrames, faults: DmFaults) {
    this.#ram = ram
    this.#faults = faults
  }

  get added(): PfnSet {
    return this.#added
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  /** Ranges that were asked to be added and not answered: the guest may use them already. */
  get open(): PfnRange[] {
    return mergeRanges(this.#open.flatMap((range) => (range ? [...this.#ram.clip(range)] : [])))
  }

  ask(range: PfnRange | undefined): void {
    if (this.#open.length === MAX_OPEN) {
      this.miss()
      this.#faults.add('TOO_MANY', `a hot-add request while ${MAX_OPEN} wait for an answer`)
      return
    }
    this.#open.push(range)
  }

  /** Takes an answer to the oldest request. Zero frames: none now (or, when it says success, none ever). */
  answer(frames: number): void {
    if (this.#open.length === 0) {
      this.miss()
      this.#faults.add('UNEXPECTED', `a hot-add answer of ${frames} frames without a request`)
      return
    }
    const range = this.#open.shift() ?? { start: 0, count: 0 }
    if (frames > range.count) {
      this.#faults.add('EXCESS', `${frames} frames hot-added, ${range.count} were asked for`)
    }
    const count = Math.min(frames, range.count)
    let inRam = 0
    for (const part of count === 0 ? [] : this.#ram.clip({ start: range.start, count })) {
      this.#added.add(part)
      inRam += part.count
    }
    if (inRam < count) this.#faults.add('OUTSIDE_RAM', `${count - inRam} of ${count} hot-added frames are no guest RAM`)
  }

  /** Frames may have been added that are not known. */
  miss(): void {
    this.#isComplete = false
  }
}
