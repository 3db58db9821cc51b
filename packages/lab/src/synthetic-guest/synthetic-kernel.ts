import { encodeElfNote, offsetOf, QEMUCPUState } from '@ullage/layout'
import { endOf, type PfnRange, PfnSet } from '@ullage/pages'
import { FrameAllocator } from './frame-allocator.ts'
import { type KernelEra, syntheticEras } from './kernel-era.ts'
import { MemMap } from './mem-map.ts'
import { PageTables } from './page-tables.ts'
import { type SectionState, SectionTable } from './section-table.ts'
import { type SyntheticArchitecture, syntheticX86 } from './synthetic-architecture.ts'
import type { SyntheticGuest } from './synthetic-guest.ts'
import type { SyntheticPage } from './synthetic-page.ts'
import { vmcoreinfoLines } from './vmcoreinfo-lines.ts'

/** Of the image, which begins with text, in frames from its start: the root table, init_uts_ns, the pointer to the array of sections. */
const ROOT_AT = 80
const UTS_AT = 96
const POINTER_AT = 112
/** A kernel's image is 2 MiB here, in pages of 4 KiB. */
const IMAGE_FRAMES = 512
const UTS_FIELD_BYTES = 65

export interface SyntheticKernelOptions {
  readonly era?: KernelEra
  readonly architecture?: SyntheticArchitecture
  readonly release?: string
  /** First frame of all that the kernel places; two kernels can share a guest. 16 MiB into guest RAM when left out. */
  readonly at?: number
  /** SIZE(page); 64 when left out. */
  readonly pageBytes?: number
  /** `pointer`: as `extreme`, but SYMBOL(mem_section) is the address of the pointer to the array. */
  readonly memSection?: 'extreme' | 'flat' | 'pointer'
  /** SIZE(mem_section); 16 when left out. */
  readonly sectionBytes?: number
  /** `sections`: without a virtual memory map, each section's struct pages are a piece of their own. */
  readonly memMap?: 'vmemmap' | 'sections'
  /** False: struct pages are mapped page by page, also where a block would do. */
  readonly blocks?: boolean
  /** Sections from this one on have the struct pages of those before, over and over: guests of terabytes in little room. */
  readonly aliasSections?: number
  /** `online` when left out. */
  sectionState?(section: number): SectionState
  /** Whether a section's struct pages lie in its own first frames (memory_hotplug.memmap_on_memory). */
  isSelfHosted?(section: number): boolean
  /** What a frame is used for, where `mark` has not said it; `inUse` when left out or undefined. */
  pages?(pfn: number): SyntheticPage | undefined
}

/** One kernel's image, page tables, sections and struct pages in a synthetic guest. */
export class SyntheticKernel {
  readonly guest: SyntheticGuest
  readonly era: KernelEra
  readonly architecture: SyntheticArchitecture
  /** VMCOREINFO, line by line: change it, then `publish`. */
  readonly lines: Map<string, string>
  readonly image: PfnRange
  readonly tables: PageTables
  readonly sections: SectionTable
  readonly memMap: MemMap
  readonly vmcoreinfoPfn: number
  /** Frames of the arrays and structures of mem_section. */
  readonly sectionPfns: number[] = []
  readonly #frames: FrameAllocator
  readonly #marked = new Map<number, SyntheticPage>()
  readonly #own = new PfnSet()
  readonly #sectionPages = new Map<bigint, number>()
  readonly #pages: ((pfn: number) => SyntheticPage | undefined) | undefined

  constructor(guest: SyntheticGuest, options: SyntheticKernelOptions = {}) {
    const {
      era = syntheticEras['6.12'],
      architecture = syntheticX86(),
      pageBytes = 64,
      memSection = 'extreme',
    } = options
    this.guest = guest
    this.era = era
    this.architecture = architecture
    this.#pages = options.pages?.bind(options)
    const { frameBytes } = guest
    const ramStart = guest.extents[0]?.start ?? 0
    this.#frames = new FrameAllocator(guest.extents, options.at ?? ramStart + 0x100_0000 / frameBytes)
    this.image = { start: this.#frames.take(IMAGE_FRAMES, IMAGE_FRAMES), count: IMAGE_FRAMES }
    this.tables = new PageTables(guest.memory, {
      architecture,
      rootPfn: this.image.start + ROOT_AT,
      allocate: () => this.#frames.take(),
    })
    this.tables.map(architecture.imageBase, this.image.start, IMAGE_FRAMES, true)
    const release = options.release ?? era.release
    this.#writeUtsName(release)

    const sectionFrames = 2 ** architecture.sectionSizeBits / frameBytes
    const base = this.#placeOfSections(architecture, options.sectionBytes ?? 16)
    guest.memory.writeU64((this.image.start + POINTER_AT) * frameBytes, base)
    this.sections = new SectionTable({
      memory: guest.memory,
      kind: memSection === 'flat' ? 'flat' : 'extreme',
      sections: 2 ** (architecture.maxPhysmemBits - architecture.sectionSizeBits),
      structBytes: options.sectionBytes ?? 16,
      base,
      pageAt: (virtual) => this.#pageAt(virtual),
      newPage: () => this.directAddress(this.#takeSectionPage()),
    })
    this.memMap = new MemMap({
      kernel: this,
      frames: this.#frames,
      pageBytes,
      sectionFrames,
      kind: options.memMap ?? 'vmemmap',
      blocks: options.blocks ?? true,
      aliasSections: options.aliasSections,
    })
    for (const section of sectionsOf(guest.extents, sectionFrames)) {
      const state = options.sectionState?.(section) ?? 'online'
      const map = state === 'absent' ? 0n : this.memMap.add(section, options.isSelfHosted?.(section) ?? false)
      this.sections.write(section, state, map)
    }

    const text = architecture.imageBase
    this.vmcoreinfoPfn = this.#frames.take()
    this.tables.map(this.directAddress(this.vmcoreinfoPfn), this.vmcoreinfoPfn)
    // vmcoreinfo_data, a variable without initial value at the end of the image.
    guest.memory.writeU64(endOf(this.image) * frameBytes - 64, this.directAddress(this.vmcoreinfoPfn))
    this.lines = vmcoreinfoLines({
      era,
      architecture,
      release,
      pageBytes,
      sectionBytes: options.sectionBytes ?? 16,
      sectionLength: this.sections.length,
      text,
      textPhysical: this.image.start * frameBytes,
      root: text + BigInt(ROOT_AT * frameBytes),
      uts: text + BigInt(UTS_AT * frameBytes),
      memSection: memSection === 'pointer' ? text + BigInt(POINTER_AT * frameBytes) : base,
    })
    this.publish()
    for (const range of this.#frames.taken) this.#own.add(range)
  }

  get rootPfn(): number {
    return this.tables.rootPfn
  }

  /** Where the direct map has a frame. */
  directAddress(pfn: number): bigint {
    return this.architecture.directMap + BigInt(pfn) * BigInt(this.guest.frameBytes)
  }

  /** The text of VMCOREINFO. */
  get vmcoreinfo(): string {
    return [...this.lines].map(([key, value]) => `${key}=${value}\n`).join('')
  }

  /** The ELF note with VMCOREINFO. */
  get note(): Uint8Array {
    return encodeElfNote('VMCOREINFO', 0, new TextEncoder().encode(this.vmcoreinfo))
  }

  /** The note that QEMU writes of an x86-64 vCPU that has this kernel's page tables loaded. */
  get vcpuNote(): Uint8Array {
    const desc = new Uint8Array(QEMUCPUState.size)
    const view = new DataView(desc.buffer)
    view.setUint32(offsetOf(QEMUCPUState, 'version'), 1, true)
    view.setUint32(offsetOf(QEMUCPUState, 'size'), QEMUCPUState.size, true)
    view.setBigUint64(offsetOf(QEMUCPUState, 'cr') + 24, BigInt(this.rootPfn * this.guest.frameBytes), true)
    const la57 = this.architecture.levels.length === 5 ? 1n << 12n : 0n
    view.setBigUint64(offsetOf(QEMUCPUState, 'cr') + 32, la57, true)
    return encodeElfNote('QEMU', 0, desc)
  }

  /** Writes the lines into the kernel's VMCOREINFO page. */
  publish(): void {
    const frame = this.guest.memory.frame(this.vmcoreinfoPfn)
    frame.fill(0)
    frame.set(new TextEncoder().encode(this.vmcoreinfo).subarray(0, frame.length))
  }

  /** Says what a frame is used for; where `page` has an order, for all of its block or compound page. */
  mark(pfn: number, page: SyntheticPage): void {
    if (page.index !== undefined || (page.order ?? 0) === 0) {
      this.#marked.set(pfn, page)
      return
    }
    for (let index = 0; index < 2 ** (page.order ?? 0); index++) {
      // Poison and fields are those of the page that was named.
      const { poisoned: _poisoned, fields: _fields, refcount: _refcount, ...tail } = page
      this.#marked.set(pfn + index, { ...(index === 0 ? page : tail), index })
    }
  }

  /** What a frame is used for. */
  pageOf(pfn: number): SyntheticPage {
    return this.#marked.get(pfn) ?? this.#ownPage(pfn) ?? this.#pages?.(pfn) ?? { use: 'inUse' }
  }

  /** Frames that a dump must keep at every level: image, page tables, mem_section, struct pages, VMCOREINFO. */
  get protectedFrames(): PfnRange[] {
    const single = [...this.tables.tables, ...this.sectionPfns, this.vmcoreinfoPfn]
    return [this.image, ...this.memMap.frames, ...single.map((start) => ({ start, count: 1 }))]
  }

  #ownPage(pfn: number): SyntheticPage | undefined {
    if (!this.#own.has(pfn)) return undefined
    return { use: pfn >= this.image.start && pfn < endOf(this.image) ? 'reserved' : 'inUse' }
  }

  #writeUtsName(release: string): void {
    const { memory, frameBytes } = this.guest
    const named = 'OFFSET(uts_namespace.name)' in this.era.lines
    const at = (this.image.start + UTS_AT) * frameBytes + (named ? 0 : 4)
    const machine = this.architecture.machine
    for (const [index, field] of ['Linux', 'host', release, '#1 SMP', machine, '(none)'].entries()) {
      memory.write(at + index * UTS_FIELD_BYTES, new TextEncoder().encode(field))
    }
  }

  /** The array of sections stands beyond the direct map of guest RAM, in pages of its own. */
  #placeOfSections({ directMap }: SyntheticArchitecture, structBytes: number): bigint {
    const end = this.guest.extents.at(-1)
    const beyond = BigInt(end ? endOf(end) : 0) * BigInt(this.guest.frameBytes) + 0x4000_0000n
    return directMap + (beyond / 0x4000_0000n) * 0x4000_0000n + BigInt(structBytes > 16 ? 0x10_0000 : 0)
  }

  #pageAt(virtual: bigint): number {
    const known = this.#sectionPages.get(virtual)
    if (known !== undefined) return known
    const pfn = this.#frames.take()
    this.sectionPfns.push(pfn)
    this.tables.map(virtual, pfn)
    this.#sectionPages.set(virtual, pfn)
    return pfn
  }

  #takeSectionPage(): number {
    const pfn = this.#frames.take()
    this.sectionPfns.push(pfn)
    this.tables.map(this.directAddress(pfn), pfn)
    this.#sectionPages.set(this.directAddress(pfn), pfn)
    return pfn
  }
}

function* sectionsOf(extents: readonly PfnRange[], sectionFrames: number): Generator<number> {
  let next = 0
  for (const extent of extents) {
    next = Math.max(next, Math.floor(extent.start / sectionFrames))
    for (; next * sectionFrames < endOf(extent); next++) yield next
  }
}
