import { mergeRanges, type PfnRange } from '@ullage/pages'
import type { MissingFrames } from './missing-frames.ts'

/** What the host has to do so that frames are there. In frames. */
export type GiveBack =
  /** The host can give back ranges of its choice. `others`: missing frames that were never ballooned out of the guest. */
  | { readonly kind: 'ranges'; readonly ranges: readonly PfnRange[]; readonly others: number }
  /** The guest chooses what it takes from its balloon: only a balloon that is empty holds none of the frames for sure. */
  | { readonly kind: 'deflate'; readonly atWorst: number }

/**
 * Undefined when there is nothing to be done: what is missing was only never touched, or no balloon can have it.
 *
 * @param options.ballooned frames that the host knows to be ballooned out, in any order; undefined where it keeps no
 * ranges, or does not know all of them.
 * @param options.offline frames of the whole guest that a balloon may hold.
 */
export function giveBack(
  { lost, perhapsBallooned }: Pick<MissingFrames, 'lost' | 'perhapsBallooned'>,
  options: { ballooned: readonly PfnRange[] | undefined; offline: number },
): GiveBack | undefined {
  const { ballooned, offline } = options
  if (!ballooned) return perhapsBallooned === 0 ? undefined : { kind: 'deflate', atWorst: offline }
  if (lost.size === 0) return undefined
  const ranges = mergeRanges(ballooned).filter((range) => lost.countIn(range) > 0)
  const given = ranges.reduce((frames, range) => frames + lost.countIn(range), 0)
  return { kind: 'ranges', ranges, others: lost.size - given }
}
