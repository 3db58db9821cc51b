import { encodeElfNote } from '@ullage/layout'
import { endOf, type PfnRange, type PfnSet } from '@ullage/pages'

const PAGE_BYTES = 4096
/** Frame numbers in one page of each of the three levels. */
const PER_PAGE = 512
/** Pages of frame lists that the first page can name (crash x86_64.c, MAX_X86_64_FRAMES). */
const MAX_LISTS = 512

/** A number for frames that do not exist, in a list of frames (Linux arch/x86/include/asm/xen/page.h, INVALID_P2M_ENTRY). */
const INVALID = 0xffff_ffff_ffff_ffffn

/** Type of the note, Xen's XEN_ELFNOTE_CRASH_INFO: crash goes by it whatever the note's name is (diskdump.c, netdump.c). */
const CRASH_INFO = 0x100_0001
/** Words of Xen's crash_xen_info_t without what x86 adds but the last, the frame of the list of lists. */
const CRASH_INFO_WORDS = 8

/**
 * The list from a guest's frames to machine frames that crash asks for: it takes a kernel that has ever seen Xen for one
 * whose tables hold machine frames (kernel.c is_pvops_xen), and turns those into the guest's by such a list. With tables
 * rewritten, each frame stands for itself. It lies in frames above guest RAM, that no guest has.
 *
 * One page names the pages of the list of frames, each of them names 512 pages of the list, each of them 512 frames.
 */
export class CrashP2m {
  /** The frames it takes. */
  readonly range: PfnRange
  readonly #lists: number
  readonly #present: PfnSet
  readonly #pages: number
  /** Whether page `i` of the list says something; the others are one page, the last. */
  readonly #own: number[] = []

  /** Frames of guest RAM that such a list can speak of: 512 GiB. */
  static readonly maxFrames = MAX_LISTS * PER_PAGE * PER_PAGE

  /** Of a guest whose RAM is `extents`, and whose dump has `present`. */
  constructor(extents: readonly PfnRange[], present: PfnSet) {
    const endPfn = Math.max(0, ...extents.map(endOf))
    this.#present = present
    this.#pages = Math.ceil(endPfn / PER_PAGE)
    this.#lists = Math.ceil(this.#pages / PER_PAGE)
    for (let page = 0; page < this.#pages; page++) if (this.#says(page)) this.#own.push(page)
    this.range = { start: endPfn, count: 1 + this.#lists + this.#own.length + 1 }
  }

  /** The note that tells crash where the first page is. */
  note(): Uint8Array {
    const words = new BigUint64Array(CRASH_INFO_WORDS)
    words[CRASH_INFO_WORDS - 1] = BigInt(this.range.start)
    return encodeElfNote('ULLAGE', CRASH_INFO, new Uint8Array(words.buffer))
  }

  /** Fills `into` with the content of frame `pfn` of `range`. */
  fill(pfn: number, into: Uint8Array): void {
    const view = new DataView(into.buffer, into.byteOffset, PAGE_BYTES)
    const index = pfn - this.range.start
    into.fill(0, 0, PAGE_BYTES)
    const put = (entry: number, frame: number) => view.setBigUint64(entry * 8, BigInt(frame), true)
    if (index === 0) {
      for (let list = 0; list < this.#lists; list++) put(list, this.range.start + 1 + list)
      return
    }
    if (index <= this.#lists) {
      const first = (index - 1) * PER_PAGE
      for (let entry = 0; entry < PER_PAGE && first + entry < this.#pages; entry++)
        put(entry, this.#frameOf(first + entry))
      return
    }
    const page = this.#own[index - 1 - this.#lists]
    for (let entry = 0; entry < PER_PAGE; entry++) {
      if (page === undefined) view.setBigUint64(entry * 8, INVALID, true)
      else put(entry, page * PER_PAGE + entry)
    }
  }

  /** Frame of page `page` of the list. */
  #frameOf(page: number): number {
    const before = firstAtLeast(this.#own, page)
    const isOwn = this.#own[before] === page
    return this.range.start + 1 + this.#lists + (isOwn ? before : this.#own.length)
  }

  #says(page: number): boolean {
    const start = page * PER_PAGE
    return this.#present.next(start, true, start + PER_PAGE) < start + PER_PAGE
  }
}

/** Index of the first of ascending `numbers` that is `wanted` or more. */
function firstAtLeast(numbers: readonly number[], wanted: number): number {
  let low = 0
  let high = numbers.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((numbers[middle] as number) >= wanted) high = middle
    else low = middle + 1
  }
  return low
}
