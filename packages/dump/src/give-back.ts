import { cutRange, endOf, mergeRanges, type PfnRange } from '@ullage/pages'

/** What the host has to do so that frames are there. In frames. */
export type GiveBack =
  /** The host can give back ranges of its choice. `others`: missing frames that were never ballooned out of the guest. */
  | { readonly kind: 'ranges'; readonly ranges: readonly PfnRange[]; readonly others: number }
  /** The guest chooses what it takes from its balloon: only a balloon that is empty holds none of the frames for sure. */
  | { readonly kind: 'deflate'; readonly atWorst: number }

/**
 * @param options.ballooned frames that the host knows to be ballooned out, ascending and disjoint; undefined where it keeps
 * no ranges, or does not know all of them.
 * @param options.offline frames of the whole guest that a balloon may hold.
 */
export function giveBack(
  missing: readonly PfnRange[],
  options: { ballooned: readonly PfnRange[] | undefined; offline: number },
): GiveBack {
  const { ballooned, offline } = options
  if (!ballooned) return { kind: 'deflate', atWorst: offline }
  const out = mergeRanges(ballooned)
  const ranges: PfnRange[] = []
  let others = 0
  for (const run of mergeRanges(missing)) {
    for (const { start, count, inside } of cutRange(run, out)) {
      if (!inside) others += count
      else ranges.push(...ballooned.filter((range) => range.start < start + count && endOf(range) > start))
    }
  }
  const covering = [...new Set(ranges)].sort((a, b) => a.start - b.start)
  return { kind: 'ranges', ranges: covering, others }
}
