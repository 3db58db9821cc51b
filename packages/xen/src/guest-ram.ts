import type { RamExtent } from '@ullage/offline-query'
import type { FrameRuns } from './frame-runs.ts'

/** HVM_BELOW_4G_MMIO_START: xl dump-core looks for no memory from here to 4 GiB (Xen tools/libs/guest/xg_core_x86.c). */
const DEVICES = { start: 0xf_0000, end: 0x10_0000 } as const

/** Frames in one memory section of an x86-64 Linux. */
const SECTION_FRAMES = 32768
/** max_grant_frames, unless Xen was told another: grant table frames that a guest maps at first. */
const MAX_GRANT_FRAMES = 64

/**
 * A frame of struct pages describes 73 frames at most (of 56 bytes each), and the balloon never gets one: a guest whose
 * frame numbers go further than this for each frame that has memory is none.
 */
const RAM_PER_BACKED = 73
/** Frames below 4 GiB: there may be holes for devices among them, and small guests need no rule. */
const RAM_SLACK = 2 ** 20

/**
 * Guest RAM of a core that holds the frames of `pages`, or undefined when no guest has RAM so sparse.
 *
 * A core lists frames with memory, not RAM: RAM without memory (ballooned, never populated) has to be inferred.
 * Everything from frame 0 to the last frame with memory is RAM, except:
 *
 * - PV: RAM goes on to `maxPfn`, where the guest's own shared info ends its p2m, as far as that is plausible.
 * - Auto-translated: the hole for devices below 4 GiB, where nothing is backed there.
 * - Auto-translated: frames that Linux took for grant tables from an address range of no memory: the last frames of the
 *   section above RAM (Linux drivers/xen/unpopulated-alloc.c gives them out from the end). They are an extent of their own.
 *
 * RAM of an auto-translated guest ends with what the kernel took at boot, from the top down (node data, struct pages), so
 * its last frame has memory however far it is ballooned.
 */
export function guestRam(
  pages: FrameRuns,
  options: { backed: number; translated: boolean; maxPfn: number },
): readonly RamExtent[] | undefined {
  const limit = options.backed * RAM_PER_BACKED + RAM_SLACK
  const last = pages.at(pages.length - 1)
  const grants =
    options.translated && isGrantFrames(pages) ? [{ name: 'xen-grants', start: last.from, count: last.count }] : []
  const before = pages.length > 1 ? pages.at(pages.length - 2) : last
  const top = grants.length > 0 ? before.from + before.count : pages.end
  const end = options.maxPfn <= limit ? Math.max(top, options.maxPfn) : top
  const hasHole = options.translated && end > DEVICES.end && isEmpty(pages, DEVICES)
  const ram = hasHole
    ? [
        { name: 'ram', start: 0, count: DEVICES.start },
        { name: 'ram', start: DEVICES.end, count: end - DEVICES.end },
      ]
    : [{ name: 'ram', start: 0, count: end }]
  return Math.max(end, pages.end) <= limit ? [...ram, ...grants] : undefined
}

/** Whether the last run is alone in its section, short and at its very end. */
function isGrantFrames(pages: FrameRuns): boolean {
  if (pages.length < 2 || pages.end % SECTION_FRAMES !== 0) return false
  const before = pages.at(pages.length - 2)
  const { count } = pages.at(pages.length - 1)
  return count <= MAX_GRANT_FRAMES && before.from + before.count <= pages.end - SECTION_FRAMES
}

function isEmpty(pages: FrameRuns, { start, end }: { start: number; end: number }): boolean {
  const next = pages.firstEndingAfter(start)
  return next === pages.length || pages.at(next).from >= end
}
