import type { ClassRuns } from './class-runs.ts'
import { FlagClasses } from './flag-classes.ts'
import { MAX_COMPOUND_ORDER, PAGE_MAPPING_ANON, PageRules } from './page-rules.ts'
import type { BitField, StructPage } from './struct-page.ts'

/** Some struct pages, one after the other, as little-endian 32-bit words. */
export interface StructPages {
  readonly words: Int32Array
  /** Word where the first struct page starts. */
  readonly start: number
  readonly count: number
}

/**
 * Gives every struct page of one section its class, from the first to the last, in as many pieces as the caller likes.
 *
 * Most memory lies in runs of one use, and four words of a struct page can tell that it is like the one before it: so the
 * rules are asked about one page of a run, and those after it are only counted as far as these words leave nothing open. So
 * are the pages after the head of a block or of a compound page. All else is asked about page by page.
 */
export class PageClassifier {
  readonly rules: PageRules
  /** Undefined for kernels that do not tell tails, or have a flag that tells a class in the high half of the word. */
  readonly #classes: FlagClasses | undefined
  /** Bits of the flags that a class follows from. */
  readonly #telling: number

  /** `sectionFrames` is a power of two. */
  constructor(page: StructPage, sectionFrames: number) {
    const bits = tellingBits(page)
    this.rules = new PageRules(page, sectionFrames)
    const canCount = page.compoundHead !== undefined && bits.every((bit) => bit.word === page.flags)
    this.#classes = canCount ? new FlagClasses(this.rules) : undefined
    this.#telling = bits.reduce((mask, bit) => mask | bit.mask, 0)
  }

  /** Adds the classes of `pages`, the next ones of the section; the first is frame `at` of the window of `into`. */
  classify(pages: StructPages, into: ClassRuns, at: number): void {
    if (this.#classes) this.#classifyRuns(this.#classes, pages, into, at)
    else this.#classifyEach(pages, into, at)
  }

  #classifyEach({ words, start, count }: StructPages, into: ClassRuns, at: number): void {
    const { rules } = this
    for (let i = 0; i < count; i++) {
      into.addUpTo(at + i + 1, rules.classOfNext(words, start + i * rules.stride, i + 1 < count))
    }
  }

  /**
   * One function with all at hand that it needs, since its work is what grows with the guest. `| 0` spares the check that a
   * sum is still a 32-bit integer.
   */
  #classifyRuns(classes: FlagClasses, { words, start, count }: StructPages, into: ClassRuns, at: number): void {
    const { rules } = this
    const { page, stride } = rules
    const { flags, mapcount, mapping, refcount, order } = page
    const head = page.compoundHead ?? 0
    const telling = this.#telling
    const hwpoison = page.hwpoison.mask
    const headBit = page.head.mask
    const orderWord = stride + order.word
    const orderMask = order.told ? 0xff : 0
    const end = (start + count * stride) | 0
    const base = at - rules.at
    let pfn = rules.at | 0
    let w = start | 0
    while (w < end) {
      const first = w
      const key = (words[(w + flags) | 0] as number) & telling
      const type = words[(w + mapcount) | 0] as number
      const isTail = (words[(w + head) | 0] as number) & 1
      // With all bits set it may be a page that was never initialised.
      const isPlain = ((key & hwpoison) | isTail) === 0 && key !== telling && pfn >= rules.blockEnd
      if (isPlain && (key & headBit) === 0 && (type >= -1 || !rules.isBlockType(type >> page.typeShift))) {
        // A page alone, and those like it.
        let code: number
        w = (w + stride) | 0
        pfn = (pfn + 1) | 0
        if (type >= -1) {
          const anon = (words[(first + mapping) | 0] as number) & PAGE_MAPPING_ANON
          code = classes.codeOf(key, anon)
          for (; w < end; w = (w + stride) | 0, pfn = (pfn + 1) | 0) {
            const differs =
              (((words[(w + flags) | 0] as number) & telling) ^ key) |
              (((words[(w + mapping) | 0] as number) & PAGE_MAPPING_ANON) ^ anon) |
              ((words[(w + head) | 0] as number) & 1)
            if (differs !== 0 || (words[(w + mapcount) | 0] as number) < -1) break
          }
        } else {
          code = rules.classOfSingle(words, first)
          // The class of a page with a type follows from that and its flags: other fields have another meaning.
          for (; w < end; w = (w + stride) | 0, pfn = (pfn + 1) | 0) {
            const differs =
              (((words[(w + flags) | 0] as number) & telling) ^ key) |
              ((words[(w + mapcount) | 0] as number) ^ type) |
              ((words[(w + head) | 0] as number) & 1)
            if (differs !== 0) break
          }
        }
        // A compound page ends at the first page that is no tail.
        rules.tailEnd = 0
        into.addUpTo(base + pfn, code)
        continue
      }
      const found = isPlain && type >= -1 && w + stride < end ? (words[(w + orderWord) | 0] as number) : 0
      const compound = (found >>> order.shift) & orderMask
      if (
        compound > 0 &&
        compound <= MAX_COMPOUND_ORDER &&
        rules.isAligned(pfn, compound) &&
        !rules.isMarkedHugetlb(words, w)
      ) {
        // The head of a compound page that has no type.
        rules.tailClass = classes.codeOf(key, (words[(w + mapping) | 0] as number) & PAGE_MAPPING_ANON)
        rules.tailEnd = pfn + (1 << compound)
        into.addUpTo(base + pfn + 1, rules.tailClass)
      } else {
        rules.at = pfn
        into.addUpTo(base + pfn + 1, rules.classOfNext(words, w, w + stride < end))
      }
      // What follows it of the same block or compound page.
      pfn = (pfn + 1) | 0
      w = (w + stride) | 0
      const rest = w
      if (pfn < rules.blockEnd) {
        const stop = Math.min(end, w + (rules.blockEnd - pfn) * stride)
        for (; w < stop; w = (w + stride) | 0, pfn = (pfn + 1) | 0) {
          const word = words[(w + flags) | 0] as number
          const isHeld = (words[(w + refcount) | 0] as number) | ((words[(w + head) | 0] as number) & 1)
          if (((word & hwpoison) | isHeld) !== 0 || word === -1 || (words[(w + mapcount) | 0] as number) < -1) break
        }
        if (w === rest) continue
        into.addUpTo(base + pfn, rules.blockClass)
        rules.tailEnd = 0
      } else if (pfn < rules.tailEnd) {
        const stop = Math.min(end, w + (rules.tailEnd - pfn) * stride)
        for (; w < stop; w = (w + stride) | 0, pfn = (pfn + 1) | 0) {
          const word = words[(w + flags) | 0] as number
          const isNone = ~(words[(w + head) | 0] as number) & 1
          if (((word & hwpoison) | isNone) !== 0 || word === -1 || (words[(w + mapcount) | 0] as number) < -1) break
        }
        into.addUpTo(base + pfn, rules.tailClass)
      }
    }
    rules.at = pfn
  }
}

function tellingBits({ hwpoison, slab, head, lru, privateBit, swapcache, swapbacked }: StructPage): BitField[] {
  return [hwpoison, slab, head, lru, privateBit, swapcache, swapbacked]
}
