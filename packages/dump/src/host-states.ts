import { type OfflineQuery, OfflineError } from '@ullage/offline-query'
import { endOf, findRange, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import { HOST_STATE } from './frame-codes.ts'
import { windowsOf } from './windows-of.ts'

/**
 * The host's word on all of guest RAM, collected: one bit a frame for each state that occurs besides `backed`, and only where
 * 32768 neighbours are not all alike in it.
 */
export class HostStates {
  readonly extents: readonly PfnRange[]
  // Disjoint.
  readonly #unbacked = new PfnSet()
  readonly #swapped = new PfnSet()
  readonly #unknown = new PfnSet()
  /** Frames of guest RAM that a costly host was not asked about. */
  readonly notAsked: number

  private constructor(extents: readonly PfnRange[], notAsked: number) {
    this.extents = extents
    this.notAsked = notAsked
  }

  /**
   * Asks `query` about every frame of `extents`; about those of `skip`, all of them in `extents`, only where that costs
   * nothing. Throws what the query throws, and OfflineError `CORRUPT` when its answer has a gap or ends early: silence is
   * never an answer.
   */
  static async collect(
    query: OfflineQuery,
    extents: readonly PfnRange[],
    options: { skip?: PfnSet; signal?: AbortSignal } = {},
  ): Promise<HostStates> {
    const { skip, signal } = options
    const states = new HostStates(mergeRanges(extents), query.capabilities.costly ? (skip?.size ?? 0) : 0)
    for (const within of skip ? windowsOf(states.extents) : states.extents) {
      let next = within.start
      const question = { within, ...(skip && { skip: [...skip.runs(within)] }), ...(signal && { signal }) }
      for await (const run of query.backing(question)) {
        if (run.start !== next) throw gap(within, next, run.start)
        next = endOf(run)
        if (run.state === 'unbacked') states.#unbacked.add(run)
        else if (run.state === 'swapped') states.#swapped.add(run)
        else if (run.state === 'unknown') states.#unknown.add(run)
      }
      if (next !== endOf(within)) throw gap(within, next, endOf(within))
    }
    return states
  }

  /**
   * The same for frames of `factor` times the size, those of `extents`. A frame takes the most that any part of it has:
   * unknown before swapped before backed; unbacked when no part has memory.
   */
  inLargerFrames(extents: readonly PfnRange[], factor: number): HostStates {
    const larger = new HostStates(mergeRanges(extents), Math.ceil(this.notAsked / factor))
    const withMemory = new PfnSet()
    for (const extent of this.extents) {
      for (let at = extent.start; at < endOf(extent); ) {
        const start = this.#unbacked.next(at, false, endOf(extent))
        at = this.#unbacked.next(start, true, endOf(extent))
        if (at > start) withMemory.add(enlarged({ start, count: at - start }, factor))
      }
    }
    for (const extent of larger.extents) larger.#unbacked.add(extent)
    for (const run of withMemory.allRuns()) larger.#unbacked.delete(run)
    for (const run of this.#swapped.allRuns()) larger.#swapped.add(enlarged(run, factor))
    for (const run of this.#unknown.allRuns()) larger.#unknown.add(enlarged(run, factor))
    for (const run of larger.#unknown.allRuns()) larger.#swapped.delete(run)
    return larger
  }

  /** `HOST_STATE` code of a frame of guest RAM. */
  stateAt(pfn: number): number {
    if (this.#unbacked.has(pfn)) return HOST_STATE.unbacked
    if (this.#swapped.size > 0 && this.#swapped.has(pfn)) return HOST_STATE.swapped
    return this.#unknown.size > 0 && this.#unknown.has(pfn) ? HOST_STATE.unknown : HOST_STATE.backed
  }

  /** First frame after `pfn` and below `limit` whose state is another, or `limit`. All up to there are guest RAM. */
  endOfState(pfn: number, limit: number): number {
    switch (this.stateAt(pfn)) {
      case HOST_STATE.unbacked:
        return this.#unbacked.next(pfn, false, limit)
      case HOST_STATE.swapped:
        return this.#swapped.next(pfn, false, limit)
      case HOST_STATE.unknown:
        return this.#unknown.next(pfn, false, limit)
      default: {
        let end = this.#unbacked.next(pfn, true, limit)
        if (this.#swapped.size > 0) end = this.#swapped.next(pfn, true, end)
        return this.#unknown.size > 0 ? this.#unknown.next(pfn, true, end) : end
      }
    }
  }

  /** Fills one `HOST_STATE` code for each frame of `window`. */
  fill(window: PfnRange, into: Uint8Array): void {
    for (let pfn = window.start; pfn < endOf(window); ) {
      const end = this.endOfState(pfn, endOf(window))
      into.fill(this.stateAt(pfn), pfn - window.start, end - window.start)
      pfn = end
    }
  }

  /** The first frame at or after `pfn`, below `limit`, that the host does not call unbacked; `limit` when there is none. */
  nextReadable(pfn: number, limit: number): number {
    return this.#unbacked.next(pfn, false, limit)
  }

  /** True when every frame of `range` may be read: guest RAM that the host does not call unbacked. */
  isReadable(range: PfnRange): boolean {
    const end = endOf(range)
    const extent = this.extents[findRange(this.extents, range.start)]
    return extent !== undefined && end <= endOf(extent) && this.#unbacked.next(range.start, true, end) === end
  }
}

/** The larger frames that hold any part of `range`. */
function enlarged(range: PfnRange, factor: number): PfnRange {
  const start = Math.floor(range.start / factor)
  return { start, count: Math.ceil(endOf(range) / factor) - start }
}

function gap(within: PfnRange, expected: number, found: number): OfflineError {
  return new OfflineError(
    'CORRUPT',
    `the backend's answer for frames [${within.start}, ${endOf(within)}) must go on at frame ${expected}, found ${found}`,
  )
}
