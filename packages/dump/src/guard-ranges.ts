import type { LinuxGuest } from '@ullage/linux-guest'
import { intersect, mergeRanges, type PfnRange } from '@ullage/pages'
import { DumpError } from './dump-error.ts'
import type { Warning } from './report.ts'

/**
 * What a range is to a kernel that is about to be jumped into.
 *
 * - `range`: the caller named it.
 * - `segment`: a part of the loaded kernel will be put there, and run there.
 * - `source`: content of the loaded kernel waits there.
 * - `control`: the code that puts it in place, and its page tables.
 * - `crashSegment`, `crashkernel`: a part of the crash kernel, and the area reserved for it.
 */
export type GuardedKind = 'range' | 'segment' | 'source' | 'control' | 'crashSegment' | 'crashkernel'

/** Frames that must be there when the guest jumps. */
export interface GuardedRange extends PfnRange {
  readonly kind: GuardedKind
}

export interface GuardedRanges {
  readonly ranges: readonly GuardedRange[]
  readonly warnings: readonly Warning[]
  /** False when something of the loaded kernel could not be followed: then its ranges may not be all. */
  readonly complete: boolean
}

/**
 * What is to be guarded: the frames that were asked for, else what the guest has loaded. Frames are those of the guest's own
 * pages. Throws DumpError `KEXEC_UNKNOWN` when the guest does not tell what it has loaded.
 */
export function guardedRanges(
  linux: LinuxGuest | undefined,
  options: { asked: readonly PfnRange[]; frameBytes: number; whyNoWord: string | undefined },
): GuardedRanges {
  const { asked, frameBytes } = options
  const state = linux?.kexec() ?? { refused: options.whyNoWord ?? 'it was not asked (trust host)' }
  const crashkernel = 'refused' in state ? [] : mergeRanges(state.crashkernel)
  if (asked.length > 0) {
    const ranges = mergeRanges(asked).map((range) => ({ ...range, kind: 'range' as const }))
    const inside = ranges.some((range) => crashkernel.some((area) => intersect(range, area)))
    return { ranges, warnings: inside ? [reserved(crashkernel, frameBytes)] : [], complete: true }
  }
  if ('refused' in state) {
    throw new DumpError(
      'KEXEC_UNKNOWN',
      `expected a guest that tells what it has loaded to kexec into, found one whose word cannot be had: ${state.refused}; ` +
        'name the frames to guard (--range START-END, in bytes), as /proc/iomem or kexec -d tell them in the guest',
    )
  }
  const warnings: Warning[] = []
  const ranges: GuardedRange[] = []
  let complete = true
  for (const image of state.images) {
    const add = (kind: GuardedKind, found: readonly PfnRange[]): void => {
      for (const range of found) ranges.push({ ...range, kind })
    }
    for (const fault of image.faults) warnings.push({ code: 'KEXEC_INCOMPLETE', text: `of the loaded kernel ${fault}` })
    complete &&= image.faults.length === 0
    if (image.kind === 'kexec') {
      add('segment', image.segments)
      add('source', image.sources)
      add('control', image.control)
    } else {
      add('crashSegment', image.segments)
      for (const range of crashkernel) ranges.push({ ...range, kind: 'crashkernel' })
      warnings.push(reserved(crashkernel, frameBytes))
    }
  }
  return { ranges, warnings, complete }
}

function reserved(areas: readonly PfnRange[], frameBytes: number): Warning {
  const hex = (pfn: number): string => `0x${(pfn * frameBytes).toString(16)}`
  const where = areas.map(({ start, count }) => `${hex(start)}-${hex(start + count)}`).join(' and ')
  const text = `the crashkernel= area (${where || 'of unknown place'}) is reserved when the guest boots: no balloon can take frames of it`
  return { code: 'CRASHKERNEL_RESERVED', text }
}
