import type { PfnRange } from '@ullage/pages'
import type { FrameAllocator } from './frame-allocator.ts'
import type { SyntheticKernel } from './synthetic-kernel.ts'
import { writeStructPage } from './write-struct-page.ts'

export interface MemMapOptions {
  readonly kernel: SyntheticKernel
  readonly frames: FrameAllocator
  readonly pageBytes: number
  readonly sectionFrames: number
  readonly kind: 'vmemmap' | 'sections'
  readonly blocks: boolean
  readonly aliasSections: number | undefined
}

/** The struct pages of one synthetic kernel, made when they are read. */
export class MemMap {
  readonly pageBytes: number
  /** Frames that hold struct pages. */
  readonly frames: PfnRange[] = []
  readonly #options: MemMapOptions
  /** Where each section's struct pages are: first frame, and virtual address. */
  readonly #places = new Map<number, { readonly pfn: number; readonly virtual: bigint }>()

  constructor(options: MemMapOptions) {
    this.#options = options
    this.pageBytes = options.pageBytes
  }

  /** Places and maps the struct pages of a section. Returns where frame 0's would be, counted back from its first. */
  add(section: number, selfHosted: boolean): bigint {
    const { kernel, sectionFrames, pageBytes, kind, aliasSections } = this.#options
    const { architecture } = kernel
    const first = section * sectionFrames
    const count = this.#framesOfSection
    const shared =
      aliasSections !== undefined && section >= aliasSections ? this.#places.get(section % aliasSections) : undefined
    const pfn = shared?.pfn ?? (selfHosted ? first : this.#take(count))
    const inVmemmap = architecture.vmemmap + BigInt(first) * BigInt(pageBytes)
    const virtual = kind === 'vmemmap' ? inVmemmap : kernel.directAddress(pfn)
    kernel.tables.map(virtual, pfn, count, this.#options.blocks)
    this.#places.set(section, { pfn, virtual })
    if (!shared) {
      this.frames.push({ start: pfn, count })
      kernel.guest.memory.make({ start: pfn, count, fill: (frame, into) => this.#fill(section, frame - pfn, into) })
    }
    return BigInt.asUintN(64, virtual - BigInt(first) * BigInt(pageBytes))
  }

  /** Virtual address of a frame's struct page. */
  addressOf(pfn: number): bigint {
    const { sectionFrames, pageBytes } = this.#options
    const place = this.#places.get(Math.floor(pfn / sectionFrames))
    return (place?.virtual ?? 0n) + BigInt((pfn % sectionFrames) * pageBytes)
  }

  /** Physical address, in bytes, of a frame's struct page. */
  physicalOf(pfn: number): number {
    const { sectionFrames, pageBytes, kernel } = this.#options
    const place = this.#places.get(Math.floor(pfn / sectionFrames))
    return (place?.pfn ?? 0) * kernel.guest.frameBytes + (pfn % sectionFrames) * pageBytes
  }

  get #framesOfSection(): number {
    const { sectionFrames, pageBytes, kernel } = this.#options
    return Math.ceil((sectionFrames * pageBytes) / kernel.guest.frameBytes)
  }

  #take(count: number): number {
    const { frames, kernel } = this.#options
    const align = count % kernel.tables.blockFrames === 0 ? kernel.tables.blockFrames : 1
    return frames.take(count, align)
  }

  /** Makes the `index`-th frame of a section's struct pages. */
  #fill(section: number, index: number, into: Uint8Array): void {
    const { kernel, pageBytes, sectionFrames } = this.#options
    const { era } = kernel
    const from = index * into.length
    const first = Math.floor(from / pageBytes)
    const last = Math.min(sectionFrames - 1, Math.floor((from + into.length - 1) / pageBytes))
    const isWhole = from % pageBytes === 0 && into.length % pageBytes === 0
    const pages = isWhole ? into : new Uint8Array((last - first + 1) * pageBytes)
    for (let i = first; i <= last; i++) {
      const pfn = section * sectionFrames + i
      const place = { address: this.addressOf(pfn), pageBytes }
      writeStructPage(pages, (i - first) * pageBytes, { era, page: kernel.pageOf(pfn), place })
    }
    if (isWhole) return
    const skew = from - first * pageBytes
    into.fill(0)
    into.set(pages.subarray(skew, skew + into.length))
  }
}
