import { endOf, type PfnRange } from '@ullage/pages'
import { ClassRuns } from './class-runs.ts'
import { GUEST_CLASS } from './guest-class.ts'
import type { KernelMemory, MappedRun } from './kernel-memory.ts'
import type { MemorySections } from './memory-sections.ts'
import { PageClassifier } from './page-classifier.ts'
import type { TailsBefore } from './page-rules.ts'
import type { StructPage } from './struct-page.ts'

/** Struct pages are read in pieces of at most this many bytes, 4096 of the usual size, which a processor's cache holds. */
const PIECE_BYTES = 256 * 1024

/** Address bits above any order of a compound page: a tail that has them all set holds a mask, not a pointer. */
const MASK_HIGH_WORD = -1

/** The struct pages of one section. */
interface SectionMap {
  readonly firstPfn: number
  /** Virtual address of the first. */
  readonly virtual: bigint
  /** Bytes from the start of the page that the first lies in. */
  readonly skew: number
  /** Where the pages that hold them lie. */
  readonly mapped: readonly MappedRun[]
}

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
  /** As many bytes from its start as a piece takes that starts with a page. */
  readonly #piece: Uint8Array
  readonly #words: Int32Array
  readonly #readable: Uint8Array
  /** Of a piece of which not all could be read. */
  readonly #partial = new ClassRuns()

  constructor(memory: KernelMemory, sections: MemorySections, page: StructPage) {
    this.#memory = memory
    this.#sections = sections
    this.#page = page
    this.#classifier = new PageClassifier(page, sections.sectionFrames)
    this.#pieceFrames = Math.min(sections.sectionFrames, 2 ** Math.floor(Math.log2(PIECE_BYTES / page.bytes)))
    const { frameBytes } = memory.frames
    const pages = Math.ceil((this.#pieceFrames * page.bytes) / frameBytes) + 1
    this.#bytes = new Uint8Array(pages * frameBytes)
    this.#piece = this.#bytes.subarray(0, (pages - 1) * frameBytes)
    this.#words = new Int32Array(this.#bytes.buffer)
    this.#readable = new Uint8Array(pages)
  }

  /** Finds the classes of `window`. */
  classify(window: PfnRange, into: ClassRuns): void {
    const { sectionFrames } = this.#sections
    into.start(window.count)
    for (let pfn = window.start; pfn < endOf(window); ) {
      const number = Math.floor(pfn / sectionFrames)
      const first = number * sectionFrames
      const end = Math.min(endOf(window), first + sectionFrames)
      const section = this.#sections.at(number)
      if (section.kind !== 'online') {
        into.addUpTo(end - window.start, section.kind === 'none' ? GUEST_CLASS.noStructPage : GUEST_CLASS.unknown)
      } else if (section.map % 4n !== 0n) {
        // A map that is not aligned to words is no kernel's: nothing can be said of its frames.
        into.addUpTo(end - window.start, GUEST_CLASS.unknown)
      } else {
        this.#classifySection({ start: first, count: end - first }, section.map, into, first - window.start)
      }
      pfn = end
    }
  }

  /** `frames` begin with the section; the first is frame `at` of the window, which may begin later. */
  #classifySection(frames: PfnRange, virtual: bigint, into: ClassRuns, at: number): void {
    const { frameBytes } = this.#memory.frames
    const { bytes } = this.#page
    // What a head is, is told by the page after it. Heads stand at even frames.
    const count = frames.count + (frames.count % 2)
    const skew = Number(virtual & BigInt(frameBytes - 1))
    const mapped = [...this.#memory.mapping(virtual - BigInt(skew), Math.ceil((skew + count * bytes) / frameBytes))]
    const section = { firstPfn: frames.start, virtual, skew, mapped }
    for (let start = 0; start < count; start += this.#pieceFrames) {
      this.#classifyPiece(section, { start, count: Math.min(this.#pieceFrames, count - start) }, into, at + start)
    }
  }

  /** `piece` counts from the start of the section. */
  #classifyPiece(section: SectionMap, piece: PfnRange, into: ClassRuns, at: number): void {
    const { frameBytes } = this.#memory.frames
    const { bytes } = this.#page
    const firstByte = section.skew + piece.start * bytes
    const skew = firstByte % frameBytes
    const pages = {
      start: (firstByte - skew) / frameBytes,
      count: Math.ceil((skew + piece.count * bytes) / frameBytes),
    }
    const size = pages.count * frameBytes
    const buffer = size === this.#piece.length ? this.#piece : this.#bytes.subarray(0, size)
    const missing = this.#memory.readMapped(section.mapped, pages, buffer, this.#readable)
    if (piece.start === 0) this.#classifier.rules.start(section.firstPfn, this.#tailsBefore(section))
    const found = { words: this.#words, start: skew / 4, count: piece.count }
    if (missing === 0) return this.#classifier.classify(found, into, at)
    this.#partial.start(piece.count)
    this.#classifier.classify(found, this.#partial, 0)
    const classes = new Uint8Array(piece.count)
    this.#partial.writeTo(classes)
    this.#forgetStraddlers(skew, classes)
    into.addCodes(at, classes)
  }

  /** A struct page of which only a part could be read has no class. */
  #forgetStraddlers(skew: number, classes: Uint8Array): void {
    const { frameBytes } = this.#memory.frames
    const { bytes } = this.#page
    for (let i = 0; i < classes.length; i++) {
      const from = Math.floor((skew + i * bytes) / frameBytes)
      const to = Math.floor((skew + (i + 1) * bytes - 1) / frameBytes)
      if (this.#readable[from] === 0 || this.#readable[to] === 0) classes[i] = GUEST_CLASS.unknown
    }
  }

  /**
   * When a section starts with a tail, its head lies in a section before: a huge page larger than a section. The tail
   * holds the address of its head, or, since 7.1, the mask that makes its own address the head's (Linux
   * include/linux/page-flags.h compound_info_has_mask). What it leads to is believed where it is the head of a compound
   * page that reaches into this section: the struct page of the frame that one of its order would start with.
   */
  #tailsBefore({ virtual, skew, firstPfn }: SectionMap): TailsBefore | undefined {
    const { compoundHead, bytes } = this.#page
    const first = skew / 4
    if (compoundHead === undefined || !this.#classifier.rules.isTail(this.#words, first)) return undefined
    const low = this.#words[first + compoundHead] as number
    const high = this.#words[first + compoundHead + 1] as number
    const info = (BigInt(high >>> 0) << 32n) | BigInt((low & ~1) >>> 0)
    const address = high === MASK_HIGH_WORD ? virtual & info : info
    const pair = this.#memory.read(address, bytes * 2)
    const head = pair && this.#classifier.rules.headAt(new Int32Array(pair.buffer), 0)
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
