import { endOf, type PfnRange } from '@ullage/pages'
import type { GuestFrames } from './guest-frames.ts'
import type { PageWalker } from './page-walker.ts'

/** Longest piece that `read` takes: it serves small structures, not tables. */
const SMALL_READ_BYTES = 4096

const CACHED_PAGES = 4

interface CachedPage {
  at: bigint
  /** When it was asked for last, counted in pages that were asked for. */
  usedAt: number
  readonly bytes: Uint8Array
  readonly view: DataView
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
  /** Pages asked for last: what is read in turns stays (roots, sections, struct pages). */
  readonly #pages: readonly CachedPage[]
  #asked = 0

  constructor(frames: GuestFrames, walker: PageWalker) {
    this.frames = frames
    this.walker = walker
    this.#pages = Array.from({ length: CACHED_PAGES }, () => {
      const bytes = new Uint8Array(frames.frameBytes)
      return { at: -1n, usedAt: 0, bytes, view: new DataView(bytes.buffer) }
    })
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
      result.set(page.bytes.subarray(inPage, inPage + count), done)
      done += count
    }
    return result
  }

  /** The little-endian u64 at `virtual`, or undefined when it cannot be read. */
  readU64(virtual: bigint): bigint | undefined {
    const inPage = Number(virtual & BigInt(this.frames.frameBytes - 1))
    if (inPage <= this.frames.frameBytes - 8) {
      return this.#page(virtual - BigInt(inPage))?.view.getBigUint64(inPage, true)
    }
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
    const { walker } = this
    for (let done = 0; done < count; ) {
      const isMapped = walker.walk(virtual + (BigInt(done) << BigInt(frameShift))) === 'mapped'
      walker.extend(count - done)
      const span = Math.min(count - done, walker.frames)
      const gfn = walker.gfn
      if (!isMapped || view.isIdentity === true) {
        yield { at: done, pages: span, pfn: isMapped ? gfn : undefined }
        done += span
        continue
      }
      for (let i = 0; i < span; ) {
        const pfn = view.toPfn(gfn + i)
        let pages = 1
        if (pfn !== undefined) while (i + pages < span && view.toPfn(gfn + i + pages) === pfn + pages) pages++
        yield { at: done + i, pages, pfn }
        i += pages
      }
      done += span
    }
  }

  /**
   * Reads the pages `wanted` of a mapping, from its start on, and fills `into` with them. `readable[i]` becomes 1 for a page that was read
   * and 0 for one that is not mapped, not in guest RAM or not backed; its bytes become 0xff. Returns how many were not read.
   */
  readMapped(mapped: readonly MappedRun[], wanted: PfnRange, into: Uint8Array, readable: Uint8Array): number {
    const { frameBytes } = this.frames
    const end = endOf(wanted)
    let missing = 0
    let done = 0
    for (let i = runAt(mapped, wanted.start); done < wanted.count; i++) {
      const run = mapped[i]
      if (!run) throw new RangeError(`pages [${wanted.start}, ${end}) lie beyond the mapping`)
      const from = wanted.start + done - run.at
      const pages = Math.min(run.pages - from, wanted.count - done)
      const isAll = pages === wanted.count
      const part = isAll ? into : into.subarray(done * frameBytes, (done + pages) * frameBytes)
      if (run.pfn === undefined) {
        part.fill(0xff)
        readable.fill(0, done, done + pages)
        missing += pages
      } else {
        missing += this.frames.readWhatCanBe({ start: run.pfn + from, count: pages }, part, readable, done)
      }
      done += pages
    }
    return missing
  }

  #page(virtual: bigint): CachedPage | undefined {
    const now = ++this.#asked
    let oldest = this.#pages[0] as CachedPage
    for (const page of this.#pages) {
      if (page.at === virtual) {
        page.usedAt = now
        return page
      }
      if (page.usedAt < oldest.usedAt) oldest = page
    }
    const pfn = this.toPfn(virtual)
    oldest.at = -1n
    if (pfn === undefined || !this.frames.readFrame(pfn, oldest.bytes)) return undefined
    oldest.at = virtual
    oldest.usedAt = now
    return oldest
  }
}

/** Index of the run of a mapping that holds page `at`. */
function runAt(mapped: readonly MappedRun[], at: number): number {
  let low = 0
  let high = mapped.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((mapped[middle] as MappedRun).at <= at) low = middle
    else high = middle - 1
  }
  return low
}
