import { endOf, mergeRanges, type PfnRange } from '@ullage/pages'

/** Frames looked at together: one section of an x86-64 kernel (128 MiB of 4 KiB frames). */
export const WINDOW_FRAMES = 32768

/** Pieces of `extents`, ascending, of at most one window, never across a window-aligned border. */
export function* windowsOf(extents: readonly PfnRange[]): Generator<PfnRange> {
  for (const extent of mergeRanges(extents)) {
    for (let start = extent.start; start < endOf(extent); ) {
      const border = (Math.floor(start / WINDOW_FRAMES) + 1) * WINDOW_FRAMES
      const end = Math.min(border, endOf(extent))
      yield { start, count: end - start }
      start = end
    }
  }
}
