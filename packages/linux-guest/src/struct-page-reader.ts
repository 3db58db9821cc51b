import { endOf, type PfnRange } from '@ullage/pages'
import { GUEST_CLASS } from './guest-class.ts'
import type { KernelMemory } from './kernel-memory.ts'
import type { MemorySections } from './memory-sections.ts'
import { PageClassifier, type TailsBefore } from './page-classifier.ts'
import type { StructPage } from './struct-page.ts'

/** Struct pages are read in pieces of at most this many bytes: 8192 of the usual size. */
const PIECE_BYTES = 512 * 1024

/** Address bits above any order of a compound page: a tail that has them all set holds a mask, not a pointer. */
const MASK_HIGH_WORD = -1

/**
 * Classifies frames by their struct pages, a piece of a section at a time, with one buffer whatever the guest's size.
 * Works through a section from its start, since a page's class may follow from one before it.
 */
export class StructPageReader {
  readonly #memory: KernelMemory
  readonly #sections: MemorySections
  readonly #page: StructPage
  readonly #classifier: PageClassifier
  readonly #pieceFrames: number
  readonly #bytes: Uint8Array
  readonly #words: Int32Array
  readonly #readable: Uint8Array
  readonly #classes: Uint8Array

  constructor(memory: KernelMemory, sections: MemorySections, page: StructPage) {
    this.#memory = memory
    this.#sections = sections
    this.#page = page
    this.#classifier = new PageClassifier(page, sections.sectionFrames)
    this.#pieceFrames = Math.min(sections.sectionFrames, 2 ** Math.floor(Math.log2(PIECE_BYTES / page.bytes)))
    const { frameBytes } = memory.frames
    const pages = Math.ceil((this.#pieceFrames * page.bytes) / frameBytes) + 1
    this.#bytes = new Uint8Array(pages * frameBytes)
    this.#words = new Int32Array(this.#bytes.buffer)
    this.#readable = new Uint8Array(pages)
    this.#classes = new Uint8Array(this.#pieceFrames)
  }

  /** Fills `into[i]` with the class of frame `window.start + i`. */
  classify(window: PfnRange, into: Uint8Array): void {
    const { sectionFrames } = this.#sections
    for (let pfn = window.start; pfn < endOf(window); ) {
      const number = Math.floor(pfn / sectionFrames)
      const end = Math.min(endOf(window), (number + 1) * sectionFrames)
      const section = this.#sections.at(number)
      const part = into.subarray(pfn - window.start, end - window.start)
      if (section.kind === 'online') {
        this.#classifySection(number, section.map, { start: pfn - number * sectionFrames, count: end - pfn }, part)
      } else {
        part.fill(section.kind === 'none' ? GUEST_CLASS.noStructPage : GUEST_CLASS.unknown)
      }
      pfn = end
    }
  }

  /** `wanted` counts from the start of the section. */
  #classifySection(number: number, map: bigint, wanted: PfnRange, into: Uint8Array): void {
    // What a head is, is told by the page after it. Heads stand at even frames.
    const end = endOf(wanted) + (endOf(wanted) % 2)
    for (let start = 0; start < endOf(wanted); start += this.#pieceFrames) {
      const count = Math.min(this.#pieceFrames, end - start)
      this.#classifyPiece(map + BigInt(start) * BigInt(this.#page.bytes), number, start, count)
      const from = Math.max(wanted.start, start)
      const to = Math.min(start + count, endOf(wanted))
      if (from < to) into.set(this.#classes.subarray(from - start, to - start), from - wanted.start)
    }
  }

  #classifyPiece(virtual: bigint, section: number, start: number, count: number): void {
    const { frameBytes } = this.#memory.frames
    const { bytes } = this.#page
    const skew = Number(virtual & BigInt(frameBytes - 1))
    // A map that is not aligned to words is no kernel's: nothing can be said of its frames.
    if (skew % 4 !== 0) {
      this.#classes.fill(GUEST_CLASS.unknown, 0, count)
      return
    }
    const pages = Math.ceil((skew + count * bytes) / frameBytes)
    const missing = this.#memory.readPages(virtual - BigInt(skew), pages, this.#bytes, this.#readable)
    const first = skew / 4
    if (start === 0) {
      const firstPfn = section * this.#sections.sectionFrames
      this.#classifier.start(firstPfn, this.#tailsBefore(virtual, first, firstPfn))
    }
    this.#classifier.classify({ words: this.#words, start: first, count }, this.#classes, 0)
    if (missing > 0) this.#forgetStraddlers(skew, count)
  }

  /** A struct page of which only a part could be read has no class. */
  #forgetStraddlers(skew: number, count: number): void {
    const { frameBytes } = this.#memory.frames
    const { bytes } = this.#page
    for (let i = 0; i < count; i++) {
      const from = Math.floor((skew + i * bytes) / frameBytes)
      const to = Math.floor((skew + (i + 1) * bytes - 1) / frameBytes)
      if (this.#readable[from] === 0 || this.#readable[to] === 0) this.#classes[i] = GUEST_CLASS.unknown
    }
  }

  /**
   * When a section starts with a tail, its head lies in a section before: a huge page larger than a section. The tail
   * holds the address of its head, or, since 7.1, the mask that makes its own address the head's (Linux
   * include/linux/page-flags.h compound_info_has_mask). What it leads to is believed where it is the head of a compound
   * page that reaches into this section: the struct page of the frame that one of its order would start with.
   */
  #tailsBefore(virtual: bigint, first: number, firstPfn: number): TailsBefore | undefined {
    const { compoundHead, bytes } = this.#page
    if (compoundHead === undefined || !this.#classifier.isTail(this.#words, first)) return undefined
    const low = this.#words[first + compoundHead] as number
    const high = this.#words[first + compoundHead + 1] as number
    const info = (BigInt(high >>> 0) << 32n) | BigInt((low & ~1) >>> 0)
    const address = high === MASK_HIGH_WORD ? virtual & info : info
    const pair = this.#memory.read(address, bytes * 2)
    const head = pair && this.#classifier.headAt(new Int32Array(pair.buffer), 0)
    if (!head) return undefined
    const frames = 2 ** head.order
    const headPfn = firstPfn - (firstPfn % frames)
    if (headPfn === firstPfn || this.#addressOf(headPfn) !== address) return undefined
    return { frames: headPfn + frames - firstPfn, tailClass: head.tailClass }
  }

  /** Virtual address of a frame's struct page; undefined where the kernel has none. */
  #addressOf(pfn: number): bigint | undefined {
    const { sectionFrames } = this.#sections
    const section = this.#sections.at(Math.floor(pfn / sectionFrames))
    return section.kind === 'online' ? section.map + BigInt((pfn % sectionFrames) * this.#page.bytes) : undefined
  }
}
