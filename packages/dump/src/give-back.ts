import { mergeRanges, type PfnRange, type PfnSet } from '@ullage/pages'

/** What the host has to do so that frames are there. In frames. */
export type GiveBack =
  /** The host can give back ranges of its choice. `others`: missing frames that were never ballooned out of the guest. */
  | { readonly kind: 'ranges'; readonly ranges: readonly PfnRange[]; readonly others: number }
  /** The guest chooses what it takes from its balloon: only a balloon that is empty holds none of the frames for sure. */
  | { readonly kind: 'deflate'; readonly atWorst: number }

/**
 * @param options.ballooned frames that the host knows to be ballooned out, in any order; undefined where it keeps no
 * ranges, or does not know all of them.
 * @param options.offline frames of the whole guest that a balloon may hold.
 */
export function giveBack(
  missing: PfnSet,
  options: { ballooned: readonly PfnRange[] | undefined; offline: number },
): GiveBack {
  const { ballooned, offline } = options
  if (!ballooned) return { kind: 'deflate', atWorst: offline }
  const ranges = mergeRanges(ballooned).filter((range) => missing.countIn(range) > 0)
  const given = ranges.reduce((frames, range) => frames + missing.countIn(range), 0)
  return { kind: 'ranges', ranges, others: missing.size - given }
}
