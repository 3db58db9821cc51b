import { countFrames, type PfnRange, PfnSet } from '@ullage/pages'
import type { DmFaults } from './dm-fault.ts'
import type { RamFrames } from './ram-frames.ts'

/** One message of frames that change hands. */
interface Transfer {
  /** True when further messages belong to the same request. */
  readonly more: boolean
  readonly ranges: readonly PfnRange[]
}

/**
 * The frames that are ballooned out. A request is answered in parts, by messages that say `more` but for the last, and may
 * get less than it asked for; one without ranges means that there is no more to be had (Linux hv_balloon.c, balloon_up).
 */
export class DmBalloon {
  readonly #ram: RamFrames
  readonly #faults: DmFaults
  #out = new PfnSet()
  /** Asked for in `requests` requests without their last answer, and answered so far. */
  #open = { requests: 0, frames: 0, answered: 0 }
  #openReturns = 0
  /** Whether `out` is all there is. */
  #isComplete = true

  constructor(ram: RamFrames, faults: DmFaults) {
    this.#ram = ram
    this.#faults = faults
  }

  get out(): PfnSet {
    return this.#out
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  get unansweredFrames(): number {
    return Math.max(0, this.#open.frames - this.#open.answered)
  }

  ask(frames: number): void {
    this.#open.requests++
    this.#open.frames = Math.min(Number.MAX_SAFE_INTEGER, this.#open.frames + frames)
  }

  /**
   * Takes an answer. One that nobody asked for changes nothing, as on QEMU's host (hv-balloon.c), and so does one of more
   * frames than there is RAM, which bounds what a message costs.
   */
  answer({ more, ranges }: Transfer): void {
    const frames = countFrames(ranges)
    if (this.#open.requests === 0) {
      this.miss()
      this.#faults.add('UNEXPECTED', `a balloon answer of ${frames} frames that no request asked for`)
      return
    }
    if (frames > this.#ram.frames) {
      this.miss()
      this.#faults.add('TOO_MANY', `a balloon answer of ${frames} frames from a guest of ${this.#ram.frames}`)
    } else {
      this.#takeOut(ranges, frames)
      this.#open.answered = Math.min(Number.MAX_SAFE_INTEGER, this.#open.answered + frames)
      if (this.#open.answered > this.#open.frames) {
        this.#faults.add('EXCESS', `${this.#open.answered} frames ballooned, ${this.#open.frames} were asked for`)
      }
    }
    if (more) return
    this.#open.requests--
    if (this.#open.requests === 0) this.#open = { requests: 0, frames: 0, answered: 0 }
  }

  /** Takes a request that gives frames back: they are the guest's from the moment it is told. */
  giveBack({ more, ranges }: Transfer): void {
    let given = 0
    const before = this.#out.size
    for (const range of ranges) {
      given += range.count
      for (const part of this.#ram.clip(range)) this.#out.delete(part)
    }
    const missing = given - (before - this.#out.size)
    if (missing > 0) this.#faults.add('REPEATED', `${missing} of ${given} frames are given back that were not out`)
    if (!more) this.#openReturns++
  }

  /** Takes a request that hot-adds `range`: the host has memory for it from then on, whatever was given away before. */
  overtake(range: PfnRange): void {
    const before = this.#out.size
    for (const part of this.#ram.clip(range)) this.#out.delete(part)
    const overtaken = before - this.#out.size
    if (overtaken > 0)
      this.#faults.add('REPEATED', `${overtaken} of ${range.count} frames to hot-add are ballooned out`)
  }

  confirmReturn(): void {
    if (this.#openReturns > 0) this.#openReturns--
    else this.#faults.add('UNEXPECTED', 'an unballoon answer without a request')
  }

  /** Frames may be out that are not known. */
  miss(): void {
    this.#isComplete = false
  }

  /** What is out may have been given back. */
  forget(): void {
    this.#out = new PfnSet()
    this.#isComplete = false
  }

  /** Whatever was asked for will not be answered. */
  dropRequests(): void {
    this.#open = { requests: 0, frames: 0, answered: 0 }
    this.#openReturns = 0
  }

  #takeOut(ranges: readonly PfnRange[], frames: number): void {
    const before = this.#out.size
    let inRam = 0
    for (const range of ranges) {
      for (const part of this.#ram.clip(range)) {
        this.#out.add(part)
        inRam += part.count
      }
    }
    if (inRam < frames)
      this.#faults.add('OUTSIDE_RAM', `${frames - inRam} of ${frames} ballooned frames are no guest RAM`)
    const repeated = inRam - (this.#out.size - before)
    if (repeated > 0)
      this.#faults.add('REPEATED', `${repeated} of ${frames} frames are ballooned that were out already`)
  }
}
