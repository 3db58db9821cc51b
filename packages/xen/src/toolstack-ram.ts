import type { PfnRange } from '@ullage/pages'

/** Frames below 4 GiB. */
export const FOUR_GIB_FRAMES = 2 ** 20
/** Where a PVH guest's ACPI tables are; its RAM below 4 GiB ends here (Xen tools/libs/light/libxl_dom.c). */
export const PVH_RAM_END = 0xf_c000
/** HVM_BELOW_4G_MMIO_START: where RAM of a guest with a device model ends, unless more was left to devices. */
export const HVM_RAM_END = 0xf_0000

/** `frames` of RAM as libxl lays it out: from frame 0 to `lowEnd` at most, what does not fit there above 4 GiB. */
export function toolstackRam(frames: number, lowEnd: number): PfnRange[] {
  const low = Math.min(frames, lowEnd)
  return [
    { start: 0, count: low },
    { start: FOUR_GIB_FRAMES, count: frames - low },
  ].filter(({ count }) => count > 0)
}
