import type { NotDumped, RamExtent } from '@ullage/offline-query'
import { cutRange, endOf, intersect, type PfnRange } from '@ullage/pages'
import type { FrameRuns } from './frame-runs.ts'
import { PAGE_BYTES } from './core-layout.ts'

/** The window of a VGA card: no RAM on a PC. PVH has memory there, but calls it reserved. */
const VIDEO = { start: 0xa0, end: 0xc0 } as const

/** HVM_BELOW_4G_MMIO_START: xl dump-core looks for no memory from here to 4 GiB (Xen tools/libs/guest/xg_core_x86.c). */
const DEVICES = { start: 0xf_0000, end: 0x10_0000 } as const

/** Frames in one memory section of an x86-64 Linux. */
const SECTION_FRAMES = 32768
/** max_grant_frames, unless Xen was told another: grant table frames that a guest maps at first. */
const MAX_GRANT_FRAMES = 64
/** Frames with memory outside RAM that stand closer than this are one extent. */
const SPECIAL_GAP_FRAMES = 1024

/**
 * A frame of struct pages describes 73 frames at most (of 56 bytes each), and the balloon never gets one: a guest whose
 * frame numbers go further than this for each frame that has memory is none.
 */
const RAM_PER_BACKED = 73
/** Frames below 4 GiB: there may be holes for devices among them, and small guests need no rule. */
const RAM_SLACK = 2 ** 20

/** What is known of a guest beside the frames that have memory. */
export interface RamFacts {
  /** Frames that have memory. */
  readonly backed: number
  /** False for PV. */
  readonly translated: boolean
  /** PV: one more than the last frame that its p2m speaks of; 0 where that is not told. */
  readonly maxPfn: number
  /** Auto-translated: RAM as whoever built the guest laid it out. */
  readonly told?: readonly PfnRange[] | undefined
}

/** Guest RAM, and what is none. */
export interface GuestRam {
  readonly extents: readonly RamExtent[]
  readonly notDumped: readonly NotDumped[]
}

/** Whether a guest with `backed` frames of memory can have a frame of the number `end - 1`. */
export function isPlausibleEnd(end: number, backed: number): boolean {
  return end <= backed * RAM_PER_BACKED + RAM_SLACK
}

/**
 * Guest RAM of a file that holds the frames of `pages`, or undefined when no guest has RAM so sparse.
 *
 * A file lists frames with memory, not RAM: where nobody tells, RAM without memory (ballooned, never populated) has to be
 * inferred. Everything from frame 0 to the last frame with memory is RAM, except:
 *
 * - PV: RAM goes on to `maxPfn`, where the guest's own shared info ends its p2m, as far as that is plausible.
 * - Auto-translated: the hole for devices below 4 GiB.
 * - Auto-translated: frames that Linux took for grant tables from an address range of no memory: the last frames of the
 *   section above RAM (Linux drivers/xen/unpopulated-alloc.c gives them out from the end).
 *
 * RAM of an auto-translated guest ends with what the kernel took at boot, from the top down (node data, struct pages), so
 * its last frame has memory however far it is ballooned.
 *
 * Frames with memory outside RAM (grant tables, ACPI tables, rings shared with Xen's own domains, video memory) are
 * extents of their own, so that everything the file holds can be read.
 */
export function guestRam(pages: FrameRuns, facts: RamFacts): GuestRam | undefined {
  const { backed, translated, maxPfn, told } = facts
  if (!isPlausibleEnd(pages.end, backed)) return undefined
  if (!translated) {
    const end = isPlausibleEnd(maxPfn, backed) ? Math.max(pages.end, maxPfn) : pages.end
    return { extents: [{ name: 'ram', start: 0, count: end }], notDumped: [] }
  }
  const grants = grantFrames(pages)
  const ram = told ?? inferredRam(pages, grants)
  const extents = [
    ...ram.map((range) => ({ name: 'ram', start: range.start, count: range.count })),
    ...outside(pages, ram).map((range) => ({
      name: range.start === grants?.start ? 'xen-grants' : 'xen-special',
      ...range,
    })),
  ].sort((a, b) => a.start - b.start)
  const notDumped = [
    ...(isEmpty(pages, VIDEO) ? [listed('video', VIDEO)] : []),
    ...(isEmpty(pages, DEVICES) ? [listed('devices', DEVICES)] : []),
  ]
  return { extents, notDumped }
}

function listed(name: string, { start, end }: { start: number; end: number }): NotDumped {
  return { name, startBytes: start * PAGE_BYTES, sizeBytes: (end - start) * PAGE_BYTES }
}

/** RAM as the frames with memory tell it: below the hole for devices, and above 4 GiB. */
function inferredRam(pages: FrameRuns, grants: PfnRange | undefined): PfnRange[] {
  const end = grants ? endBefore(pages, grants.start) : pages.end
  if (end <= DEVICES.start) return [{ start: 0, count: end }]
  const isHigh = end > DEVICES.end
  // Where nothing in the hole has memory, RAM goes up to it: there is some above.
  const low = isHigh && isEmpty(pages, DEVICES) ? DEVICES.start : endBefore(pages, DEVICES.start)
  const ram = [
    { start: 0, count: low },
    { start: DEVICES.end, count: end - DEVICES.end },
  ]
  return ram.filter(({ count }) => count > 0)
}

/** End of the last run that begins below `limit`, 0 when none does. */
function endBefore(pages: FrameRuns, limit: number): number {
  const last = lastBelow(pages, limit)
  return last < 0 ? 0 : endOf(runAt(pages, last))
}

/**
 * The last frames below the hole for devices, or above 4 GiB, when they are alone in their section, few and at its very
 * end.
 */
function grantFrames(pages: FrameRuns): PfnRange | undefined {
  const isHigh = pages.end > DEVICES.end
  const last = isHigh ? pages.length - 1 : lastBelow(pages, DEVICES.start)
  if (last < 1) return undefined
  const run = runAt(pages, last)
  if (endOf(run) % SECTION_FRAMES !== 0 || run.count > MAX_GRANT_FRAMES) return undefined
  return endOf(runAt(pages, last - 1)) <= endOf(run) - SECTION_FRAMES ? run : undefined
}

function lastBelow(pages: FrameRuns, limit: number): number {
  const index = pages.firstEndingAfter(limit - 1)
  return index < pages.length && pages.at(index).from < limit ? index : index - 1
}

/** Frames with memory in none of the ranges of `ram`, those that stand close to each other together. */
function outside(pages: FrameRuns, ram: readonly PfnRange[]): PfnRange[] {
  const found: { start: number; count: number }[] = []
  for (const gap of cutRange({ start: 0, count: pages.end }, ram)) {
    if (gap.inside) continue
    const first = found.length
    for (let index = pages.firstEndingAfter(gap.start); index < pages.length; index++) {
      const run = intersect(runAt(pages, index), gap)
      if (!run) break
      const open = found.length > first ? found.at(-1) : undefined
      if (open && run.start - endOf(open) < SPECIAL_GAP_FRAMES) open.count = endOf(run) - open.start
      else found.push({ start: run.start, count: run.count })
    }
  }
  return found
}

function runAt(pages: FrameRuns, index: number): PfnRange {
  const { from, count } = pages.at(index)
  return { start: from, count }
}

function isEmpty(pages: FrameRuns, { start, end }: { start: number; end: number }): boolean {
  const next = pages.firstEndingAfter(start)
  return next === pages.length || pages.at(next).from >= end
}
