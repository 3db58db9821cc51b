import type { GuestFrames } from './guest-frames.ts'
import type { PageWalker } from './page-walker.ts'

/** Longest piece that `read` takes: it serves small structures, not tables. */
const SMALL_READ_BYTES = 4096

const CACHED_PAGES = 4

interface CachedPage {
  at: bigint
  readonly bytes: Uint8Array
}

/** `pages` pages from page `at` on. */
export interface MappedRun {
  readonly at: number
  readonly pages: number
  readonly pfn: number | undefined
}

/** The guest's kernel address space: reads by virtual address. */
export class KernelMemory {
  readonly frames: GuestFrames
  readonly walker: PageWalker
  /** Pages read last: what is read in turns stays (roots, sections, struct pages). */
  readonly #pages: readonly CachedPage[]
  #oldest = 0

  constructor(frames: GuestFrames, walker: PageWalker) {
    this.frames = frames
    this.walker = walker
    this.#pages = Array.from({ length: CACHED_PAGES }, () => ({ at: -1n, bytes: new Uint8Array(frames.frameBytes) }))
  }

  /** Forgets what was read before: the guest may have changed it. */
  forget(): void {
    for (const page of this.#pages) page.at = -1n
    this.walker.forget()
  }

  /** The pfn that `virtual` lies in, or undefined when it is mapped to none of guest RAM. */
  toPfn(virtual: bigint): number | undefined {
    return this.walker.walk(virtual) === 'mapped' ? this.frames.view.toPfn(this.walker.gfn) : undefined
  }

  /** A copy of `size` bytes (4096 at most) at `virtual`, or undefined when not all of them can be read. */
  read(virtual: bigint, size: number): Uint8Array | undefined {
    if (size > SMALL_READ_BYTES) throw new RangeError(`a small read has at most ${SMALL_READ_BYTES} bytes, not ${size}`)
    const result = new Uint8Array(size)
    const pageBytes = this.frames.frameBytes
    for (let done = 0; done < size; ) {
      const at = virtual + BigInt(done)
      const inPage = Number(at & BigInt(pageBytes - 1))
      const page = this.#page(at - BigInt(inPage))
      if (!page) return undefined
      const count = Math.min(size - done, pageBytes - inPage)
      result.set(page.subarray(inPage, inPage + count), done)
      done += count
    }
    return result
  }

  /** The little-endian u64 at `virtual`, or undefined when it cannot be read. */
  readU64(virtual: bigint): bigint | undefined {
    const bytes = this.read(virtual, 8)
    return bytes && new DataView(bytes.buffer).getBigUint64(0, true)
  }

  /**
   * Where the `count` pages from page-aligned `virtual` lie: gapless runs of pages, each with the first of as many
   * neighbouring frames, or without where they are mapped to none of guest RAM. A run is as long as frames are neighbours,
   * in how many mappings ever.
   */
  *mapping(virtual: bigint, count: number): Generator<MappedRun> {
    let open: { at: number; pages: number; pfn: number | undefined } | undefined
    for (const run of this.#mappings(virtual, count)) {
      const expected = open?.pfn === undefined ? undefined : open.pfn + open.pages
      if (open && run.pfn === expected) {
        open.pages += run.pages
        continue
      }
      if (open) yield open
      open = { ...run }
    }
    if (open) yield open
  }

  *#mappings(virtual: bigint, count: number): Generator<MappedRun> {
    const { frameShift, view } = this.frames
    for (let done = 0; done < count; ) {
      const outcome = this.walker.walk(virtual + (BigInt(done) << BigInt(frameShift)))
      const span = Math.min(count - done, this.walker.frames)
      const gfn = this.walker.gfn
      for (let i = 0; i < span; ) {
        const pfn = outcome === 'mapped' ? view.toPfn(gfn + i) : undefined
        let pages = 1
        if (outcome !== 'mapped') pages = span
        else if (pfn !== undefined) while (i + pages < span && view.toPfn(gfn + i + pages) === pfn + pages) pages++
        yield { at: done + i, pages, pfn }
        i += pages
      }
      done += span
    }
  }

  /**
   * Reads `count` pages from page-aligned `virtual` into `into`. `readable[i]` becomes 1 for a page that was read and 0
   * for one that is not mapped, not in guest RAM or not backed; its bytes become 0xff. Returns how many were not read.
   */
  readPages(virtual: bigint, count: number, into: Uint8Array, readable: Uint8Array): number {
    const { frameBytes } = this.frames
    let missing = 0
    for (const { at, pages, pfn } of this.mapping(virtual, count)) {
      const part = into.subarray(at * frameBytes, (at + pages) * frameBytes)
      if (pfn === undefined) {
        part.fill(0xff)
        readable.fill(0, at, at + pages)
        missing += pages
      } else {
        missing += this.frames.readWhatCanBe({ start: pfn, count: pages }, part, readable, at)
      }
    }
    return missing
  }

  #page(virtual: bigint): Uint8Array | undefined {
    for (const page of this.#pages) if (page.at === virtual) return page.bytes
    const pfn = this.toPfn(virtual)
    const page = this.#pages[this.#oldest] as CachedPage
    page.at = -1n
    if (pfn === undefined || !this.frames.readFrame(pfn, page.bytes)) return undefined
    page.at = virtual
    this.#oldest = (this.#oldest + 1) % CACHED_PAGES
    return page.bytes
  }
}
