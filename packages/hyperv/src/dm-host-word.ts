import { endOf, type PfnRange, PfnSet } from '@ullage/pages'
import type { DmRanges } from './dm-ranges.ts'
import { RamFrames } from './ram-frames.ts'

/** Frames that the host has no memory for, as far as Dynamic Memory tells; of all others it tells nothing. */
export interface DmHostWord {
  readonly unbacked: PfnSet
  /** Frames of which one account says that the host has no memory and another that it has: not in `unbacked`. */
  readonly disputedFrames: number
}

/** Frames that one account claims, and whether it would know if there were more. */
interface Claim {
  readonly frames: PfnSet
  readonly knowsAll: boolean
}

/**
 * One word from one or two accounts of the same channel. Unbacked are frames ballooned out, and frames beyond what was
 * hot-added: those of a region behind its first hot-added frame that were neither added nor asked to be. Where one account
 * does not know, the other counts; where they contradict each other nothing is claimed.
 *
 * @param regions guest RAM, region by region: memory set aside for hot-add is a region with frames that were added.
 */
export function dmHostWord(regions: readonly PfnRange[], accounts: readonly DmRanges[]): DmHostWord {
  const ram = new RamFrames(regions)
  const ballooned = accounts.map((account) => ({
    frames: inRam(ram, account.ballooned),
    knowsAll: account.knowsBallooned,
  }))
  const notAdded = accounts.map((account) => ({
    frames: account.knowsHotAdded ? beyondHotAdded(regions, ram, account) : new PfnSet(),
    knowsAll: account.knowsHotAdded,
  }))
  const disputed = new PfnSet()
  const unbacked = new PfnSet()
  for (const claims of [ballooned, notAdded]) {
    for (const { frames } of claims) for (const run of frames.allRuns()) unbacked.add(run)
    addDisputed(claims, disputed)
  }
  for (const run of disputed.allRuns()) unbacked.delete(run)
  return { unbacked, disputedFrames: disputed.size }
}

function addDisputed(claims: readonly Claim[], into: PfnSet): void {
  const knowing = claims.filter(({ knowsAll }) => knowsAll)
  for (const { frames } of claims) {
    for (const run of frames.allRuns()) for (const other of knowing) addMissing(other.frames, run, into)
  }
}

function beyondHotAdded(regions: readonly PfnRange[], ram: RamFrames, account: DmRanges): PfnSet {
  const beyond = new PfnSet()
  const added = inRam(ram, account.hotAdded)
  for (const region of regions) {
    const first = added.next(region.start, true, endOf(region))
    if (first < endOf(region)) beyond.add({ start: first, count: endOf(region) - first })
  }
  for (const run of [...added.allRuns(), ...inRam(ram, account.perhapsAdded).allRuns()]) beyond.delete(run)
  return beyond
}

function inRam(ram: RamFrames, ranges: readonly PfnRange[]): PfnSet {
  const set = new PfnSet()
  for (const range of ranges) for (const part of ram.clip(range)) set.add(part)
  return set
}

/** Adds the frames of `range` that are not in `set` to `into`. */
function addMissing(set: PfnSet, range: PfnRange, into: PfnSet): void {
  const limit = endOf(range)
  for (let at = set.next(range.start, false, limit); at < limit; ) {
    const end = set.next(at, true, limit)
    into.add({ start: at, count: end - at })
    at = set.next(end, false, limit)
  }
}
