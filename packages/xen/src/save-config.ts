import type { PfnRange } from '@ullage/pages'
import { FOUR_GIB_FRAMES, HVM_RAM_END, PVH_RAM_END, toolstackRam } from './toolstack-ram.ts'

const KIB_A_FRAME = 4

/**
 * Guest RAM of an HVM or PVH guest as libxl lays it out, from the configuration that xl keeps in an image: `max_memkb` less
 * `video_memkb` from frame 0 on, what does not fit below the hole for devices above 4 GiB (Xen libxl_dom.c,
 * libxl__build_hvm). Undefined where the configuration does not tell.
 */
export function ramOfConfig(config: string | undefined): readonly PfnRange[] | undefined {
  const domain = parse(config)
  const build = objectAt(domain, 'b_info')
  const type = objectAt(domain, 'c_info')?.['type'] ?? build?.['type']
  const maxKib = count(build?.['max_memkb'])
  if (!build || maxKib === undefined || (type !== 'hvm' && type !== 'pvh')) return undefined
  const videoKib = count(build['video_memkb']) ?? 0
  const frames = Math.floor((maxKib - videoKib) / KIB_A_FRAME)
  if (frames < 1) return undefined
  return toolstackRam(frames, type === 'pvh' ? PVH_RAM_END : hvmRamEnd(build))
}

/** `mmio_hole` makes the hole larger than it is by itself, never smaller. */
function hvmRamEnd(build: Record<string, unknown>): number {
  const holeKib = count(objectAt(build, 'type.hvm')?.['mmio_hole_memkb']) ?? 0
  const end = FOUR_GIB_FRAMES - Math.floor(holeKib / KIB_A_FRAME)
  return end > 0 ? Math.min(HVM_RAM_END, end) : HVM_RAM_END
}

function parse(config: string | undefined): unknown {
  if (config === undefined) return undefined
  try {
    return JSON.parse(config)
  } catch (error) {
    // What cannot be parsed tells nothing, and is said to: the end of RAM is then inferred, with a warning.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function objectAt(value: unknown, key: string): Record<string, unknown> | undefined {
  if (!isObject(value)) return undefined
  const found = value[key]
  return isObject(found) ? found : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** LIBXL_MEMKB_DEFAULT is 2^64 - 1 and means that nobody said. */
function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}
