import { GUEST_CLASS } from './guest-class.ts'
import type { StructPage } from './struct-page.ts'

/** Some struct pages, one after the other, as little-endian 32-bit words. */
export interface StructPages {
  readonly words: Int32Array
  /** Word where the first struct page starts. */
  readonly start: number
  readonly count: number
}

/** Tails at the start of a section: how many frames they can be at most, and their class. */
export interface TailsBefore {
  readonly frames: number
  readonly tailClass: number
}

/**
 * Gives every struct page of one section its class, from the first to the last, in as many pieces as the caller likes.
 * It carries from piece to piece what a page says of those after it: a free block's head, or a compound page's, of its
 * tails.
 *
 * Such a claim is believed frame by frame only. The order of a free block must be one a kernel can have and the block
 * aligned to it, and a tail counts as free only with no references. A compound page has as many tails as its order says,
 * if it is aligned to it, and ends at the first page that is no tail: whatever a tail points to, what is no part of the
 * compound page before it is in use.
 */
export class PageClassifier {
  readonly #page: StructPage
  readonly #sectionFrames: number
  readonly #stride: number
  /** Frames from the start of the section. */
  #at = 0
  /** Where the current free or unaccepted block ends, in frames from the start of the section. */
  #blockEnd = 0
  #blockClass: number = GUEST_CLASS.free
  /** Class that tails take from the head before them. */
  #tailClass: number = GUEST_CLASS.inUse
  /** Where the current compound page ends, in frames from the start of the section. */
  #tailEnd = 0
  /** First frame of the section. */
  #firstPfn = 0

  /** `sectionFrames` is a power of two. */
  constructor(page: StructPage, sectionFrames: number) {
    this.#page = page
    this.#sectionFrames = sectionFrames
    this.#stride = page.bytes >>> 2
  }

  /** Starts the section of frame `firstPfn`. `tails`: those at its beginning, whose head lies in a section before. */
  start(firstPfn: number, tails?: TailsBefore): void {
    this.#at = 0
    this.#firstPfn = firstPfn
    this.#blockEnd = 0
    this.#tailClass = tails?.tailClass ?? GUEST_CLASS.inUse
    this.#tailEnd = tails?.frames ?? 0
  }

  /** Whether the struct page at word `at` is a tail of a compound page. */
  isTail(words: Int32Array, at: number): boolean {
    const { compoundHead } = this.#page
    return compoundHead !== undefined && !this.#isBlank(words, at) && ((words[at + compoundHead] as number) & 1) === 1
  }

  /**
   * Order and class of the tails of the head at word `at`, which its first tail follows; undefined when it is no head of a
   * compound page.
   */
  headAt(words: Int32Array, at: number): { order: number; tailClass: number } | undefined {
    if (this.#isBlank(words, at) || this.isTail(words, at)) return undefined
    const order = this.#orderOf(words, at, true)
    return order === 0 ? undefined : { order, tailClass: this.#tailsOf(words, at, true) }
  }

  /** Fills `into[at + i]` with the class of the i-th struct page. */
  classify(pages: StructPages, into: Uint8Array, at: number): void {
    const { words, count } = pages
    const { flags, refcount, mapcount, typeShift, compoundHead, hwpoison, slab, offline } = this.#page
    const stride = this.#stride
    const hwpoisonWord = hwpoison.word
    const hwpoisonMask = hwpoison.mask
    const slabWord = slab.word
    const slabMask = slab.mask
    const offlineTold = offline.told
    const offlineType = offline.value
    // Without the field no page is a tail: the word of another field is masked with zero.
    const tailWord = compoundHead ?? flags
    const tailMask = compoundHead === undefined ? 0 : 1
    let pfn = this.#at
    for (let i = 0, w = pages.start; i < count; i++, pfn++, w += stride) {
      if (words[w + flags] === -1 && words[w + flags + 1] === -1) {
        // All ones: never initialised (PAGE_POISON_PATTERN), or it could not be read.
        into[at + i] = GUEST_CLASS.unknown
        this.#tailEnd = 0
        continue
      }
      const isTail = ((words[w + tailWord] as number) & tailMask) !== 0
      const hasNext = i + 1 < count
      if (((words[w + hwpoisonWord] as number) & hwpoisonMask) !== 0) {
        into[at + i] = GUEST_CLASS.hwpoison
        if (!isTail) this.#startCompound(words, w, pfn, hasNext)
        continue
      }
      // -1 and above count mappings. The word of a slab page of kernels that have PG_slab is the slab's own.
      const type = words[w + mapcount] as number
      const isTyped = type < -1 && ((words[w + slabWord] as number) & slabMask) === 0
      if (isTyped && offlineTold && type >> typeShift === offlineType) {
        into[at + i] = GUEST_CLASS.offline
        if (!isTail) this.#tailEnd = 0
      } else if (isTail) {
        into[at + i] = pfn < this.#tailEnd ? this.#tailClass : GUEST_CLASS.inUse
      } else if (isTyped && this.#startsBlock(words, w, pfn)) {
        into[at + i] = this.#blockClass
        this.#tailEnd = 0
      } else if (pfn < this.#blockEnd && !isTyped && words[w + refcount] === 0) {
        into[at + i] = this.#blockClass
        this.#tailEnd = 0
      } else {
        into[at + i] = this.#classOfOne(words, w, hasNext)
        this.#startCompound(words, w, pfn, hasNext)
      }
    }
    this.#at = pfn
  }

  #isBlank(words: Int32Array, at: number): boolean {
    const { flags } = this.#page
    return words[at + flags] === -1 && words[at + flags + 1] === -1
  }

  /**
   * Remembers where the tails of the page at word `at` end, and their class. Where struct pages of a hugetlb page share
   * memory, some of its tails look like its head (Linux include/linux/page-flags.h page_fixed_fake_head): those are not
   * aligned to their order, and its tails go on after them.
   */
  #startCompound(words: Int32Array, at: number, pfn: number, hasNext: boolean): void {
    const order = this.#orderOf(words, at, hasNext)
    const isAligned = (this.#firstPfn + pfn) % 2 ** order === 0
    if (!isAligned && pfn < this.#tailEnd) return
    this.#tailEnd = 0
    if (order === 0 || !isAligned) return
    this.#tailEnd = pfn + 2 ** order
    this.#tailClass = this.#tailsOf(words, at, hasNext)
  }

  /** Order of the compound page whose head is at word `at`: 0 for a page alone, and for an order that no kernel has. */
  #orderOf(words: Int32Array, at: number, hasNext: boolean): number {
    const { head, order } = this.#page
    if (!hasNext || !order.told || ((words[at + head.word] as number) & head.mask) === 0) return 0
    const found = ((words[at + this.#stride + order.word] as number) >>> order.shift) & 0xff
    return found > MAX_COMPOUND_ORDER ? 0 : found
  }

  /** Whether a page with a type is the head of a free or unaccepted block. Remembers the block. */
  #startsBlock(words: Int32Array, at: number, pfn: number): boolean {
    const { buddy, unaccepted, mapcount, typeShift, orders, refcount } = this.#page
    const type = (words[at + mapcount] as number) >> typeShift
    const isBuddy = buddy.told && type === buddy.value
    if (!isBuddy && !(unaccepted.told && type === unaccepted.value)) return false
    // Linux puts only blocks of the largest order on the list of unaccepted pages (mm/page_alloc.c __free_unaccepted).
    const order = isBuddy ? (words[at + this.#page.private] as number) : orders - 1
    if (isBuddy && (words[at + this.#page.private + 1] !== 0 || order < 0 || order >= orders)) return false
    const frames = 2 ** order
    if (words[at + refcount] !== 0 || pfn % frames !== 0 || pfn + frames > this.#sectionFrames) return false
    this.#blockEnd = pfn + frames
    this.#blockClass = isBuddy ? GUEST_CLASS.free : GUEST_CLASS.unaccepted
    return true
  }

  /** Class of a page that is no tail and belongs to no block, by its own fields (makedumpfile's meaning of each). */
  #classOfOne(words: Int32Array, at: number, hasNext: boolean): number {
    const page = this.#page
    if (((words[at + page.slab.word] as number) & page.slab.mask) !== 0) return GUEST_CLASS.inUse
    if (this.#isHugetlb(words, at, hasNext)) return GUEST_CLASS.user
    // Any other type (page table, guard, slab, zsmalloc, …) uses the fields below for something else.
    if ((words[at + page.mapcount] as number) < -1) return GUEST_CLASS.inUse
    // Without a mark of tails, fields of a tail would be taken for a page's own.
    if (page.compoundHead === undefined) return GUEST_CLASS.inUse
    if (((words[at + page.mapping] as number) & PAGE_MAPPING_ANON) !== 0) return GUEST_CLASS.user
    const { lru, swapcache, swapbacked } = page
    const isSwapcache =
      ((words[at + swapcache.word] as number) & swapcache.mask) !== 0 &&
      (!page.swapbackedTold || ((words[at + swapbacked.word] as number) & swapbacked.mask) !== 0)
    if (((words[at + lru.word] as number) & lru.mask) === 0 && !isSwapcache) return GUEST_CLASS.inUse
    const isPrivate = !page.privateTold || ((words[at + page.privateBit.word] as number) & page.privateBit.mask) !== 0
    return isPrivate ? GUEST_CLASS.cachePrivate : GUEST_CLASS.cache
  }

  /**
   * Class of the tails of a page that is no tail itself. Poison marks a hugetlb page at its head, whichever of its
   * frames is meant (mm/memory-failure.c), and any other page at the frame itself.
   */
  #tailsOf(words: Int32Array, at: number, hasNext: boolean): number {
    const { hwpoison } = this.#page
    const isPoisoned = ((words[at + hwpoison.word] as number) & hwpoison.mask) !== 0
    if (isPoisoned && this.#isHugetlb(words, at, hasNext)) return GUEST_CLASS.hwpoison
    return this.#classOfOne(words, at, hasNext)
  }

  #isHugetlb(words: Int32Array, at: number, hasNext: boolean): boolean {
    const { hugetlb, head, mapcount, typeShift } = this.#page
    if (hugetlb.kind === 'untold') return false
    if (hugetlb.kind === 'type') {
      const type = words[at + mapcount] as number
      return type < -1 && type >> typeShift === hugetlb.value
    }
    // The other marks stand in the second struct page of a compound page.
    if (!hasNext || ((words[at + head.word] as number) & head.mask) === 0) return false
    const word = words[at + this.#stride + hugetlb.word] as number
    return hugetlb.kind === 'flag' ? (word & hugetlb.mask) !== 0 : ((word >>> hugetlb.shift) & 0xff) === hugetlb.value
  }
}

/** The largest are of 2^18 frames: 1 GiB in pages of 4 KiB, 16 GiB in those of 64 KiB. */
const MAX_COMPOUND_ORDER = 20

/** Lowest bit of `page.mapping` (Linux include/linux/page-flags.h). */
const PAGE_MAPPING_ANON = 1
