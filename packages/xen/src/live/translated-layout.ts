import { setImmediate } from 'node:timers/promises'
import { type RamExtent, throwIfAborted } from '@ullage/offline-query'
import { endOf, type PfnRange } from '@ullage/pages'
import { isPlausibleEnd } from '../guest-ram.ts'
import { FOUR_GIB_FRAMES, HVM_RAM_END, toolstackRam } from '../toolstack-ram.ts'
import type { DomainLayout } from './domain-layout.ts'
import type { ToldRam } from './find-domain.ts'
import { HVMMEM_MMIO_DM } from './hypercalls.ts'
import { BATCH_FRAMES, type DomainInfo, type Hypervisor } from './hypervisor.ts'

/** Frames in one memory section of an x86-64 Linux: it adds memory, and room for grant tables, by whole ones. */
const SECTION_FRAMES = 32768
/** So many sections in a row without any memory: nothing is looked for above them. */
const EMPTY_SECTIONS = 4
/** Frames that are looked at above RAM, on either side of 4 GiB. */
const MOST_LOOKED = 2 ** 20
/** Frames of memory outside RAM that stand closer than this are one extent. */
const GAP_FRAMES = 1024

/**
 * Finds guest RAM of an HVM or PVH domain. The hypervisor knows which frames have memory, not which are RAM: every hole
 * looks like a frame that was ballooned away. How much RAM there may be the toolstack wrote down when it built the domain
 * (`told`), and it lies from frame 0 to the devices, then from 4 GiB on. What has memory elsewhere (ACPI tables
 * and rings shared with Xen's own domains among the devices; grant tables and hot-added memory in the sections above RAM) is
 * found by asking, which changes nothing, and makes extents of its own. Called again, what is returned asks only about
 * frames that had no number the first time.
 */
export function translatedLayout(
  hypervisor: Hypervisor,
  told: ToldRam | undefined,
): (info: DomainInfo, signal: AbortSignal | undefined) => Promise<DomainLayout> {
  const special: RamExtent[] = []
  const warnings = new Map<string, string>()
  let known = 0
  return async (info, signal) => {
    const end = hypervisor.maximumFrame(info.domid) + 1
    const ram = told ? toolstackRam(told.frames, told.lowEnd) : ramUpTo(end, info, warnings)
    const lowEnd = ram[0] ? endOf(ram[0]) : 0
    const highEnd = Math.max(FOUR_GIB_FRAMES, ...ram.map(endOf))
    const look = new Look(hypervisor, info.domid, signal)
    for (const [start, stop, isAll] of [
      [lowEnd, HVM_RAM_END, false],
      [Math.max(lowEnd, HVM_RAM_END), FOUR_GIB_FRAMES, true],
      [highEnd, end, false],
    ] as const) {
      const hole = { start: Math.max(start, known), end: Math.min(stop, end) }
      if (hole.end > hole.start && !(await look.through(hole, isAll))) {
        warnings.set(
          'FRAMES_NOT_ASKED',
          `the domain has memory in many places above its RAM: not all of them up to frame ${hole.end - 1} were looked at`,
        )
      }
    }
    known = end
    special.push(...look.found)
    return {
      extents: [...ram.map((range) => ({ name: 'ram', ...range })), ...special].sort((a, b) => a.start - b.start),
      frameOf: (pfn) => pfn,
      toPfn: (gfn) => gfn,
      warnings: [...warnings].map(([code, text]) => ({ code, text })),
    }
  }
}

/** RAM wherever the domain has used frames, unless no guest has RAM so sparse. */
function ramUpTo(end: number, { totalFrames }: DomainInfo, warnings: Map<string, string>): PfnRange[] {
  const text = 'xenstore has no memory/static-max of the domain: RAM is taken to end where its frames do'
  warnings.set('RAM_END_UNKNOWN', text)
  if (!isPlausibleEnd(end, totalFrames)) return toolstackRam(totalFrames, HVM_RAM_END)
  return [
    { start: 0, count: Math.min(end, HVM_RAM_END) },
    { start: FOUR_GIB_FRAMES, count: end - FOUR_GIB_FRAMES },
  ].filter(({ count }) => count > 0)
}

/** A search for memory outside RAM. */
class Look {
  readonly found: { name: string; start: number; count: number }[] = []
  readonly #hypervisor: Hypervisor
  readonly #domid: number
  readonly #signal: AbortSignal | undefined

  constructor(hypervisor: Hypervisor, domid: number, signal: AbortSignal | undefined) {
    this.#hypervisor = hypervisor
    this.#domid = domid
    this.#signal = signal
  }

  /** Looks at [start, end), all of it or until there is nothing for long. False when there was more than may be asked. */
  async through({ start, end }: { start: number; end: number }, isAll: boolean): Promise<boolean> {
    let empty = 0
    const most = start + MOST_LOOKED
    for (let at = start; at < end; ) {
      if (at >= most) return false
      const next = Math.min((Math.floor(at / SECTION_FRAMES) + 1) * SECTION_FRAMES, end)
      empty = (await this.#section(at, next)) ? 0 : empty + 1
      if (!isAll && empty === EMPTY_SECTIONS) return true
      at = next
    }
    return true
  }

  /** True when there is memory in [start, end). */
  async #section(start: number, end: number): Promise<boolean> {
    let some = false
    for (let at = start; at < end; at += BATCH_FRAMES) {
      await setImmediate()
      throwIfAborted(this.#signal)
      const types = this.#hypervisor.memTypes(this.#domid, framesFrom(at, Math.min(BATCH_FRAMES, end - at)))
      for (let i = 0; i < types.length; i++) {
        if (types[i] === HVMMEM_MMIO_DM) continue
        some = true
        this.#add(at + i)
      }
    }
    return some
  }

  #add(frame: number): void {
    const last = this.found.at(-1)
    if (last && frame - endOf(last) < GAP_FRAMES) last.count = frame + 1 - last.start
    else this.found.push({ name: 'xen-special', start: frame, count: 1 })
  }
}

function framesFrom(start: number, count: number): number[] {
  const frames: number[] = []
  for (let i = 0; i < count; i++) frames.push(start + i)
  return frames
}
