import { GUEST_CLASS } from './guest-class.ts'
import type { PageType, StructPage } from './struct-page.ts'

/** Tails at the start of a section: how many frames they can be at most, and their class. */
export interface TailsBefore {
  readonly frames: number
  readonly tailClass: number
}

/** The largest are of 2^18 frames: 1 GiB in pages of 4 KiB, 16 GiB in those of 64 KiB. */
export const MAX_COMPOUND_ORDER = 20

/** Lowest bit of `page.mapping` (Linux include/linux/page-flags.h). */
export const PAGE_MAPPING_ANON = 1

/**
 * The rules by which a struct page has a class, asked page by page from the start of a section. They remember from page to
 * page what one says of those after it: a free block's head, or a compound page's, of its tails.
 *
 * Such a claim is believed frame by frame only. The order of a free block must be one a kernel can have and the block
 * aligned to it, and a tail counts as free only with no references. A compound page has as many tails as its order says,
 * if it is aligned to it, and ends at the first page that is no tail: whatever a tail points to, what is no part of the
 * compound page before it is in use.
 *
 * Struct pages are given as the little-endian 32-bit words that they are in, and the word where one starts.
 */
export class PageRules {
  readonly page: StructPage
  /** Words from one struct page to the next. */
  readonly stride: number
  readonly #sectionFrames: number
  readonly #tailWord: number
  /** Zero where the kernel does not tell tails. */
  readonly #tailMask: number
  readonly #offline: number
  readonly #buddy: number
  readonly #unaccepted: number
  /** How hugetlb pages are marked in the second struct page: these bits, as they then are. Never, where they are not. */
  readonly #hugetlb: { readonly word: number; readonly mask: number; readonly value: number }
  readonly #hugetlbType: number
  /** First frame of the section, less the multiple of the largest compound page below it. */
  #first = 0
  // What pages before say of the next ones, in frames from the start of the section. Whoever counts alike pages in bulk
  // keeps it up to date.
  /** The next page. */
  at = 0
  /** Where the free or unaccepted block ends that the last head of one began. */
  blockEnd = 0
  blockClass: number = GUEST_CLASS.free
  /** Where the compound page ends that the last head of one began. */
  tailEnd = 0
  /** Class of its tails. */
  tailClass: number = GUEST_CLASS.inUse

  /** `sectionFrames` is a power of two. */
  constructor(page: StructPage, sectionFrames: number) {
    this.page = page
    this.stride = page.bytes >>> 2
    this.#sectionFrames = sectionFrames
    this.#tailWord = page.compoundHead ?? page.flags
    this.#tailMask = page.compoundHead === undefined ? 0 : 1
    this.#offline = valueOf(page.offline)
    this.#buddy = valueOf(page.buddy)
    this.#unaccepted = valueOf(page.unaccepted)
    this.#hugetlb = hugetlbBits(page)
    this.#hugetlbType = page.hugetlb.kind === 'type' ? page.hugetlb.value : NO_TYPE
  }

  /** Starts the section of frame `firstPfn`. `tails`: those at its beginning, whose head lies in a section before. */
  start(firstPfn: number, tails?: TailsBefore): void {
    this.at = 0
    this.#first = firstPfn % (1 << MAX_COMPOUND_ORDER)
    this.blockEnd = 0
    this.tailClass = tails?.tailClass ?? GUEST_CLASS.inUse
    this.tailEnd = tails?.frames ?? 0
  }

  /** Whether this is a tail of a compound page. */
  isTail(words: Int32Array, at: number): boolean {
    return !this.#isBlank(words, at) && ((words[at + this.#tailWord] as number) & this.#tailMask) !== 0
  }

  /**
   * Order and class of the tails of a head, which its first tail follows; undefined when it is no head of a compound page.
   */
  headAt(words: Int32Array, at: number): { order: number; tailClass: number } | undefined {
    if (this.#isBlank(words, at) || this.isTail(words, at)) return undefined
    const order = this.#orderOf(words, at, true)
    return order === 0 ? undefined : { order, tailClass: this.#tailsOf(words, at, true) }
  }

  /** Class of the next page, and on to the one after it. `hasNext`: whether that one's struct page follows in `words`. */
  classOfNext(words: Int32Array, w: number, hasNext: boolean): number {
    const { page } = this
    const pfn = this.at++
    if (this.#isBlank(words, w)) {
      // All ones: never initialised (PAGE_POISON_PATTERN), or it could not be read.
      this.tailEnd = 0
      return GUEST_CLASS.unknown
    }
    const isTail = ((words[w + this.#tailWord] as number) & this.#tailMask) !== 0
    if (((words[w + page.hwpoison.word] as number) & page.hwpoison.mask) !== 0) {
      if (!isTail && this.#startsCompound(words, w, pfn, hasNext)) this.tailClass = this.#tailsOf(words, w, hasNext)
      return GUEST_CLASS.hwpoison
    }
    const type = words[w + page.mapcount] as number
    const isTyped = this.#isTyped(words, w, type)
    if (isTyped && type >> page.typeShift === this.#offline) {
      if (!isTail) this.tailEnd = 0
      return GUEST_CLASS.offline
    }
    if (isTail) return pfn < this.tailEnd ? this.tailClass : GUEST_CLASS.inUse
    const isFree = isTyped
      ? this.#startsBlock(words, w, pfn, type >> page.typeShift)
      : pfn < this.blockEnd && words[w + page.refcount] === 0
    if (isFree) {
      this.tailEnd = 0
      return this.blockClass
    }
    const code = this.#classOfOne(words, w, hasNext)
    if (this.#startsCompound(words, w, pfn, hasNext)) this.tailClass = code
    return code
  }

  /** Class of a page that stands alone: neither poisoned, nor in a block, nor part of a compound page. Remembers nothing. */
  classOfSingle(words: Int32Array, w: number): number {
    const type = words[w + this.page.mapcount] as number
    const isOffline = this.#isTyped(words, w, type) && type >> this.page.typeShift === this.#offline
    return isOffline ? GUEST_CLASS.offline : this.#classOfOne(words, w, false)
  }

  /** Whether pages of this type (shifted) can be the head of a block. */
  isBlockType(type: number): boolean {
    return type === this.#buddy || type === this.#unaccepted
  }

  /** Whether a head is marked as that of a hugetlb page in its second struct page, which follows. */
  isMarkedHugetlb(words: Int32Array, at: number): boolean {
    const { word, mask, value } = this.#hugetlb
    return ((words[at + this.stride + word] as number) & mask) === value
  }

  /**
   * Whether tails may follow the page, which is none. Remembers where they end. Where struct pages of a hugetlb page share
   * memory, some of its tails look like its head (Linux include/linux/page-flags.h page_fixed_fake_head): those are not
   * aligned to their order, and its tails go on after them.
   */
  #startsCompound(words: Int32Array, at: number, pfn: number, hasNext: boolean): boolean {
    const order = this.#orderOf(words, at, hasNext)
    const isAligned = this.isAligned(pfn, order)
    if (!isAligned && pfn < this.tailEnd) return false
    const isCompound = order > 0 && isAligned
    this.tailEnd = isCompound ? pfn + (1 << order) : 0
    return isCompound
  }

  /** Whether a compound page of this order, 20 at most, can start at frame `pfn` of the section. */
  isAligned(pfn: number, order: number): boolean {
    return ((this.#first + pfn) & ((1 << order) - 1)) === 0
  }

  #isBlank(words: Int32Array, at: number): boolean {
    const { flags } = this.page
    return words[at + flags] === -1 && words[at + flags + 1] === -1
  }

  /** -1 and above count mappings. The word of a slab page of kernels that have PG_slab is the slab's own. */
  #isTyped(words: Int32Array, at: number, type: number): boolean {
    const { slab } = this.page
    return type < -1 && ((words[at + slab.word] as number) & slab.mask) === 0
  }

  /** Order of the compound page of this head: 0 for a page alone, and for an order that no kernel has. */
  #orderOf(words: Int32Array, at: number, hasNext: boolean): number {
    const { head, order } = this.page
    if (!hasNext || !order.told || ((words[at + head.word] as number) & head.mask) === 0) return 0
    const found = ((words[at + this.stride + order.word] as number) >>> order.shift) & 0xff
    return found > MAX_COMPOUND_ORDER ? 0 : found
  }

  /** Whether a page of this type (shifted) is the head of a free or unaccepted block. Remembers the block. */
  #startsBlock(words: Int32Array, at: number, pfn: number, type: number): boolean {
    const { orders, refcount, private: field } = this.page
    const isBuddy = type === this.#buddy
    if (!isBuddy && type !== this.#unaccepted) return false
    // Linux puts only blocks of the largest order on the list of unaccepted pages (mm/page_alloc.c __free_unaccepted).
    const order = isBuddy ? (words[at + field] as number) : orders - 1
    if (isBuddy && (words[at + field + 1] !== 0 || order < 0 || order >= orders)) return false
    const frames = 1 << order
    if (words[at + refcount] !== 0 || (pfn & (frames - 1)) !== 0 || pfn + frames > this.#sectionFrames) return false
    this.blockEnd = pfn + frames
    this.blockClass = isBuddy ? GUEST_CLASS.free : GUEST_CLASS.unaccepted
    return true
  }

  /** Class of a page that is no tail and belongs to no block, by its own fields (makedumpfile's meaning of each). */
  #classOfOne(words: Int32Array, at: number, hasNext: boolean): number {
    const { page } = this
    if (((words[at + page.slab.word] as number) & page.slab.mask) !== 0) return GUEST_CLASS.inUse
    if (this.#isHugetlb(words, at, hasNext)) return GUEST_CLASS.user
    // Any other type (page table, guard, slab, zsmalloc, …) uses the fields below for something else.
    if ((words[at + page.mapcount] as number) < -1) return GUEST_CLASS.inUse
    // Without a mark of tails, fields of a tail would be taken for a page's own.
    if (this.#tailMask === 0) return GUEST_CLASS.inUse
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
    const { hwpoison } = this.page
    const isPoisoned = ((words[at + hwpoison.word] as number) & hwpoison.mask) !== 0
    if (isPoisoned && this.#isHugetlb(words, at, hasNext)) return GUEST_CLASS.hwpoison
    return this.#classOfOne(words, at, hasNext)
  }

  #isHugetlb(words: Int32Array, at: number, hasNext: boolean): boolean {
    const { head, mapcount, typeShift } = this.page
    const type = words[at + mapcount] as number
    if (type < -1 && type >> typeShift === this.#hugetlbType) return true
    return hasNext && ((words[at + head.word] as number) & head.mask) !== 0 && this.isMarkedHugetlb(words, at)
  }
}

/** Types are negative. */
const NO_TYPE = 0

/** What the type of a page must be; one that none has where the kernel does not tell it. */
function valueOf({ told, value }: PageType): number {
  return told ? value : NO_TYPE
}

function hugetlbBits({ flags, hugetlb }: StructPage): { word: number; mask: number; value: number } {
  if (hugetlb.kind === 'flag') return { word: hugetlb.word, mask: hugetlb.mask, value: hugetlb.mask }
  if (hugetlb.kind !== 'dtor') return { word: flags, mask: 0, value: 1 }
  const { word, shift, value } = hugetlb
  return { word, mask: 0xff << shift, value: value << shift }
}
