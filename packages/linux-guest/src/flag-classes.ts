import type { PageRules } from './page-rules.ts'

/** Flags that a class of a page alone follows from, at most. */
const FLAGS = 5

/**
 * Classes of pages without a type by their flags and the lowest bit of `mapping`, for all there are, as the rules have
 * them: one look-up without a branch, for what differs from run to run.
 */
export class FlagClasses {
  readonly #codes = new Uint8Array(2 << FLAGS)
  // Flag `i`, counted from the lowest, is bit `i` of the index once the word is shifted right so far; no bit, where the
  // kernel has fewer.
  readonly #shift0: number
  readonly #shift1: number
  readonly #shift2: number
  readonly #shift3: number
  readonly #shift4: number
  readonly #used: number

  /** All flags that tell a class must be in the low 32. */
  constructor(rules: PageRules) {
    const { page } = rules
    const { slab, lru, privateBit, swapcache, swapbacked } = page
    const masks = [...new Set([slab, lru, privateBit, swapcache, swapbacked].map((bit) => bit.mask >>> 0))]
    const flags = masks.filter((mask) => mask !== 0).sort((a, b) => a - b)
    const shiftOf = (i: number): number => (flags[i] === undefined ? 0 : 31 - Math.clz32(flags[i]) - i)
    this.#shift0 = shiftOf(0)
    this.#shift1 = shiftOf(1)
    this.#shift2 = shiftOf(2)
    this.#shift3 = shiftOf(3)
    this.#shift4 = shiftOf(4)
    this.#used = (1 << flags.length) - 1
    const words = new Int32Array(rules.stride)
    words[page.mapcount] = -1
    for (let index = 0; index < this.#codes.length; index++) {
      words[page.flags] = flags.reduce((word, mask, i) => ((index >>> i) & 1 ? word | mask : word), 0)
      words[page.mapping] = index >>> FLAGS
      this.#codes[index] = rules.classOfSingle(words, 0)
    }
  }

  /** Class code of a page alone with these flags; `anon` is the lowest bit of its mapping. */
  codeOf(flags: number, anon: number): number {
    const index =
      ((flags >>> this.#shift0) & 1) |
      ((flags >>> this.#shift1) & 2) |
      ((flags >>> this.#shift2) & 4) |
      ((flags >>> this.#shift3) & 8) |
      ((flags >>> this.#shift4) & 16)
    return this.#codes[(index & this.#used) | (anon << FLAGS)] as number
  }
}
