import { setImmediate } from 'node:timers/promises'
import { type RamExtent, throwIfAborted } from '@ullage/offline-query'
import { endOf, type PfnRange } from '@ullage/pages'
import { isPlausibleEnd } from '../guest-ram.ts'
import type { DomainLayout } from './domain-layout.ts'
import { HVMMEM_MMIO_DM } from './hypercalls.ts'
import { BATCH_FRAMES, type DomainInfo, type Hypervisor } from './hypervisor.ts'

/** HVM_BELOW_4G_MMIO_START, and 4 GiB: RAM goes on there (Xen tools/libs/light/libxl_dom.c). */
const DEVICES_START = 0xf_0000
const HIGH_START = 0x10_0000
/** Frames of memory outside RAM that stand closer than this are one extent. */
const GAP_FRAMES = 1024
/** Frames above RAM that are looked at. A guest can have one mapped as far up as it likes. */
const MOST_ABOVE = 2 ** 20

/**
 * Guest RAM of an HVM or PVH domain. The hypervisor knows which frames have memory, not which are RAM: every hole looks like
 * a frame that was ballooned away. How much RAM there may be the toolstack wrote down when it built the domain
 * (`staticMaxFrames`), and it lies from frame 0 to the devices, then from 4 GiB on. What has memory elsewhere (ACPI tables,
 * rings shared with Xen's own domains, grant tables, video memory, memory that was hot-added) is found by asking about all
 * other frames, which changes nothing, and makes extents of its own.
 */
export async function translatedLayout(
  hypervisor: Hypervisor,
  info: DomainInfo,
  options: { staticMaxFrames: number | undefined; signal?: AbortSignal | undefined },
): Promise<DomainLayout> {
  const end = hypervisor.maximumFrame(info.domid) + 1
  const told = options.staticMaxFrames
  const ram = told === undefined ? upTo(isPlausibleEnd(end, info.totalFrames) ? end : info.totalFrames) : ramOf(told)
  const top = Math.max(HIGH_START, ...ram.map(endOf))
  const lookEnd = Math.min(end, top + MOST_ABOVE)
  const holes = holesBetween(ram, lookEnd)
  const special: RamExtent[] = []
  for (const hole of holes) special.push(...(await memoryIn(hypervisor, info.domid, hole, options.signal)))
  const extents = [...ram.map((range) => ({ name: 'ram', ...range })), ...special].sort((a, b) => a.start - b.start)
  const warnings = [
    ...(told === undefined
      ? [
          {
            code: 'RAM_END_UNKNOWN',
            text: 'xenstore has no memory/static-max of the domain: RAM is taken to end where its memory does',
          },
        ]
      : []),
    ...(end > lookEnd
      ? [
          {
            code: 'FRAMES_NOT_ASKED',
            text: `the domain has used frame ${end - 1}, far above its RAM: frames from ${lookEnd} on were not looked at`,
          },
        ]
      : []),
  ]
  return { extents, frameOf: (pfn) => pfn, toPfn: (gfn) => gfn, warnings }
}

/** `frames` of RAM, laid out as the toolstack does. */
function ramOf(frames: number): PfnRange[] {
  const low = Math.min(frames, DEVICES_START)
  return [
    { start: 0, count: low },
    { start: HIGH_START, count: frames - low },
  ].filter(({ count }) => count > 0)
}

/** RAM wherever it may be, up to `end`. */
function upTo(end: number): PfnRange[] {
  return [
    { start: 0, count: Math.min(end, DEVICES_START) },
    { start: HIGH_START, count: end - HIGH_START },
  ].filter(({ count }) => count > 0)
}

function holesBetween(ram: readonly PfnRange[], end: number): PfnRange[] {
  const holes: PfnRange[] = []
  let at = 0
  for (const range of [...ram, { start: end, count: 1 }]) {
    if (range.start > at) holes.push({ start: at, count: Math.min(range.start, end) - at })
    at = endOf(range)
  }
  return holes.filter(({ count }) => count > 0)
}

async function memoryIn(
  hypervisor: Hypervisor,
  domid: number,
  hole: PfnRange,
  signal: AbortSignal | undefined,
): Promise<RamExtent[]> {
  const found: { name: string; start: number; count: number }[] = []
  for (let at = hole.start; at < endOf(hole); at += BATCH_FRAMES) {
    await setImmediate()
    throwIfAborted(signal)
    const frames = Array.from({ length: Math.min(BATCH_FRAMES, endOf(hole) - at) }, (_, i) => at + i)
    hypervisor.memTypes(domid, frames).forEach((type, i) => {
      if (type === HVMMEM_MMIO_DM) return
      const frame = at + i
      const last = found.at(-1)
      if (last && frame - endOf(last) < GAP_FRAMES) last.count = frame + 1 - last.start
      else found.push({ name: 'xen-special', start: frame, count: 1 })
    })
  }
  return found
}
