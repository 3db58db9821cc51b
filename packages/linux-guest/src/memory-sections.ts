import { endOf, type PfnRange } from '@ullage/pages'
import type { Architecture } from './architecture.ts'
import type { GuestFrames } from './guest-frames.ts'
import type { KernelMemory } from './kernel-memory.ts'
import { Refusal } from './refusal.ts'
import { required, type Vmcoreinfo } from './vmcoreinfo.ts'

// Flags in the low bits of mem_section.section_mem_map (Linux include/linux/mmzone.h).
const MARKED_PRESENT = 1n
const HAS_MEM_MAP = 2n
const IS_ONLINE = 4n
/** Wider than the flags of any kernel: maps are page-aligned. */
const FLAGS_MASK = 0xfffn

/** x86-64 has the most: 52 physical bits, sections of 2^27 bytes. */
const MAX_SECTIONS = 2 ** 26
/** Kernels have from 2^13 (arm64 with 64 KiB pages) to 2^18 frames in a section. */
const MIN_SECTION_FRAMES = 2 ** 10
const MAX_SECTION_FRAMES = 2 ** 20

/** Where the struct pages of one memory section are. */
export type MemorySection =
  /** The kernel has no usable struct pages for it. */
  | { readonly kind: 'none' }
  /** What describes it cannot be read. */
  | { readonly kind: 'unreadable' }
  /** `map` is the virtual address of the struct page of its first frame. */
  | { readonly kind: 'online'; readonly map: bigint }

const NONE: MemorySection = { kind: 'none' }
const UNREADABLE: MemorySection = { kind: 'unreadable' }

/** Constants of sparse memory, from VMCOREINFO. */
interface SparseLayout {
  readonly sections: number
  readonly sectionFrames: number
  readonly structBytes: number
  readonly mapOffset: number
  /** SPARSEMEM_EXTREME: an array of pointers to pages full of `struct mem_section`; else one flat array. */
  readonly sectionsPerRoot: number | undefined
}

/** The guest's `mem_section`: which sections of memory have struct pages, and where. */
export class MemorySections {
  /** Frames in one section. */
  readonly sectionFrames: number
  /** SIZE(page). */
  readonly structPageBytes: number
  readonly #memory: KernelMemory
  readonly #layout: SparseLayout
  readonly #base: bigint
  readonly #onlineBit: bigint
  #decodableCount: number | undefined

  private constructor(
    memory: KernelMemory,
    layout: SparseLayout,
    options: { base: bigint; structPageBytes: number; onlineBit: bigint },
  ) {
    this.sectionFrames = layout.sectionFrames
    this.structPageBytes = options.structPageBytes
    this.#memory = memory
    this.#layout = layout
    this.#base = options.base
    this.#onlineBit = options.onlineBit
  }

  /**
   * Finds `mem_section` and how it is to be read. SYMBOL(mem_section) is the address of the array; where a kernel gives
   * the address of the pointer to it, one step more is taken. Throws Refusal when no section of guest RAM decodes.
   */
  static open(
    memory: KernelMemory,
    info: Vmcoreinfo,
    options: { structPageBytes: number; defaults: Architecture['sparseDefaults'] },
  ): MemorySections {
    const { structPageBytes, defaults } = options
    const symbol = required(info.symbol('mem_section'), 'SYMBOL(mem_section)')
    const layout = sparseLayout(info, memory.frames.frameBytes, defaults)
    const pointed = memory.readU64(symbol)
    for (const base of pointed === undefined ? [symbol] : [symbol, pointed]) {
      // Kernels before 4.13 have no online bit: there, a section with a map is online.
      for (const onlineBit of [IS_ONLINE, 0n]) {
        const sections = new MemorySections(memory, layout, { base, structPageBytes, onlineBit })
        if (sections.isDecodable()) return sections
      }
    }
    throw new Refusal(
      `mem_section at 0x${symbol.toString(16)} has no online section whose struct pages lie in readable guest RAM`,
    )
  }

  at(section: number): MemorySection {
    const { sections, sectionsPerRoot, structBytes, mapOffset } = this.#layout
    if (section >= sections) return NONE
    let address = this.#base + BigInt(section) * BigInt(structBytes)
    if (sectionsPerRoot !== undefined) {
      const root = this.#memory.readU64(this.#base + BigInt(Math.floor(section / sectionsPerRoot) * 8))
      if (root === undefined) return UNREADABLE
      if (root === 0n) return NONE
      address = root + BigInt((section % sectionsPerRoot) * structBytes)
    }
    const coded = this.#memory.readU64(address + BigInt(mapOffset))
    if (coded === undefined) return UNREADABLE
    const wanted = MARKED_PRESENT | HAS_MEM_MAP | this.#onlineBit
    if ((coded & wanted) !== wanted) return NONE
    const first = BigInt(section) * BigInt(this.sectionFrames) * BigInt(this.structPageBytes)
    return { kind: 'online', map: BigInt.asUintN(64, (coded & ~FLAGS_MASK) + first) }
  }

  /** Numbers of the sections that hold any frame of guest RAM, ascending. */
  *ofGuestRam(): Generator<number> {
    let next = 0
    for (const extent of this.#memory.frames.view.extents) {
      const last = Math.floor((endOf(extent) - 1) / this.sectionFrames)
      next = Math.max(next, Math.floor(extent.start / this.sectionFrames))
      for (; next <= last; next++) yield next
    }
  }

  /** Whether any section of guest RAM has a struct page for its first frame that can be read. */
  isDecodable(): boolean {
    return !this.#decodable().next().done
  }

  /** How many sections of guest RAM have a struct page for their first frame that can be read. */
  countDecodable(): number {
    if (this.#decodableCount === undefined) {
      this.#decodableCount = 0
      for (const _ of this.#decodable()) this.#decodableCount++
    }
    return this.#decodableCount
  }

  /** How many sections hold frames of guest RAM, by the sizes of `info`: what `open` looks at up to four times. Throws Refusal. */
  static countOf(frames: GuestFrames, info: Vmcoreinfo, defaults: Architecture['sparseDefaults']): number {
    const { sectionFrames } = sparseLayout(info, frames.frameBytes, defaults)
    return frames.view.extents.reduce((sum, { count }) => sum + Math.ceil(count / sectionFrames), 0)
  }

  *#decodable(): Generator<number> {
    const { frames } = this.#memory
    const scratch = new Uint8Array(frames.frameBytes)
    for (const number of this.ofGuestRam()) {
      const section = this.at(number)
      if (section.kind !== 'online') continue
      const pfn = this.#memory.toPfn(section.map)
      if (pfn !== undefined && frames.readFrame(pfn, scratch)) yield number
    }
  }

  /** Pages that hold the entries of `mem_section` for guest RAM. */
  pfns(): PfnRange[] {
    const pages = new Set<bigint>()
    const add = (virtual: bigint): void => {
      pages.add(virtual >> BigInt(this.#memory.frames.frameShift))
    }
    const { sectionsPerRoot, structBytes, sections } = this.#layout
    for (const number of this.ofGuestRam()) {
      if (number >= sections) break
      if (sectionsPerRoot === undefined) {
        add(this.#base + BigInt(number) * BigInt(structBytes))
        continue
      }
      const pointer = this.#base + BigInt(Math.floor(number / sectionsPerRoot) * 8)
      const root = this.#memory.readU64(pointer)
      if (root === undefined || root === 0n) continue
      add(pointer)
      add(root + BigInt((number % sectionsPerRoot) * structBytes))
    }
    const pfns = [...pages].map((page) => this.#memory.toPfn(page << BigInt(this.#memory.frames.frameShift)))
    return pfns.filter((pfn) => pfn !== undefined).map((start) => ({ start, count: 1 }))
  }
}

/** Constants from `info`. Older kernels export one of the two bit counts or none. */
function sparseLayout(info: Vmcoreinfo, pageBytes: number, defaults: Architecture['sparseDefaults']): SparseLayout {
  const choices = bitChoices(info, 'MAX_PHYSMEM_BITS', defaults.maxPhysmemBits).flatMap((physicalBits) =>
    bitChoices(info, 'SECTION_SIZE_BITS', defaults.sectionSizeBits).map((sectionBits) => ({
      physicalBits,
      sectionBits,
    })),
  )
  const structBytes = required(info.size('mem_section'), 'SIZE(mem_section)')
  const mapOffset = required(info.offset('mem_section.section_mem_map'), 'OFFSET(mem_section.section_mem_map)')
  const length = required(info.length('mem_section'), 'LENGTH(mem_section)')
  if (
    structBytes < 8 ||
    structBytes > 256 ||
    structBytes % 8 !== 0 ||
    mapOffset % 8 !== 0 ||
    mapOffset >= structBytes
  ) {
    throw new Refusal(`a mem_section of ${structBytes} bytes with its map at ${mapOffset} is no kernel's`)
  }
  const perRoot = Math.floor(pageBytes / structBytes)
  const wrong: string[] = []
  for (const { physicalBits, sectionBits } of choices) {
    const sections = 2 ** (physicalBits - sectionBits)
    const sectionFrames = 2 ** sectionBits / pageBytes
    if (
      !Number.isInteger(sections) ||
      !Number.isInteger(sectionFrames) ||
      sections > MAX_SECTIONS ||
      sectionFrames < MIN_SECTION_FRAMES ||
      sectionFrames > MAX_SECTION_FRAMES
    ) {
      throw new Refusal(`sections of 2^${sectionBits} bytes in 2^${physicalBits} bytes of memory are no kernel's`)
    }
    const roots = Math.ceil(sections / perRoot)
    if (length === roots || length === sections) {
      return {
        sections,
        sectionFrames,
        structBytes,
        mapOffset,
        sectionsPerRoot: length === roots ? perRoot : undefined,
      }
    }
    wrong.push(`${sections} sections make an array of ${roots} roots, or a flat one of ${sections}`)
  }
  throw new Refusal(`LENGTH(mem_section) is ${length}: ${wrong.join('; ')}`)
}

/** What `info` exports, or all that kernels which do not export it have. */
function bitChoices(info: Vmcoreinfo, name: string, defaults: readonly number[]): readonly number[] {
  const exported = info.number(name)
  return exported === undefined ? defaults : [Number(exported)]
}
