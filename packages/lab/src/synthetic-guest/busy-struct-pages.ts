import { seeded } from '../seeded.ts'
import type { BusyRun } from './busy-section.ts'
import type { KernelEra } from './kernel-era.ts'
import type { SyntheticPage } from './synthetic-page.ts'
import { structPageOffsets, writeStructPage } from './write-struct-page.ts'

const PAGE_BYTES = 64
const WORDS = PAGE_BYTES / 4
const HEAD_WORD = structPageOffsets.head / 4
const MAPPING_WORD = structPageOffsets.mapping / 4
const COUNT_WORD = structPageOffsets.refcount / 4
/** Zone and node, which the kernel packs into the upper bits of the flags. */
const ZONE_LOW = 0xc000_0000 | 0
const ZONE_HIGH = 0x0017_ffff

/**
 * Writes the struct pages of a section, 64 bytes each, many times faster than one by one: each use of memory is written
 * once, then copied. What differs from page to page in a running kernel (neighbours in lists, mappings, counts of
 * references, the referenced bit) differs here too, so that no two pages need be alike.
 */
export class BusyStructPages {
  readonly bytes: Uint8Array
  readonly #words: Int32Array
  readonly #era: KernelEra
  readonly #templates = new Map<string, Int32Array>()

  constructor(era: KernelEra, sectionFrames: number) {
    this.#era = era
    this.bytes = new Uint8Array(sectionFrames * PAGE_BYTES)
    this.#words = new Int32Array(this.bytes.buffer)
  }

  /** `virtual`: address of the section's first struct page. */
  write(runs: Iterable<BusyRun>, virtual: bigint, seed: number): void {
    const random = seeded(seed)
    for (const { start, count, page } of runs) {
      const frames = 2 ** (page.order ?? 0)
      for (let at = start; at < start + count; at += frames) this.#writeBlock(at, page, virtual, random)
    }
  }

  #writeBlock(at: number, page: SyntheticPage, virtual: bigint, random: () => number): void {
    const frames = 2 ** (page.order ?? 0)
    const words = this.#words
    const address = BigInt.asIntN(64, virtual + BigInt(at * PAGE_BYTES)) | 1n
    const low = Number(BigInt.asIntN(32, address))
    const high = Number(BigInt.asIntN(32, address >> 32n))
    const varies = page.use === 'anon' || page.use === 'cache' || page.use === 'slab'
    for (let index = 0; index < frames; index++) {
      const template = this.#template(page, Math.min(index, 2))
      const word = (at + index) * WORDS
      for (let i = 0; i < WORDS; i++) words[word + i] = template[i] as number
      const isTail = index > 0 && ((template[HEAD_WORD] as number) & 1) === 1
      if (isTail) {
        words[word + HEAD_WORD] = low
        words[word + HEAD_WORD + 1] = high
      } else if (varies) {
        const noise = Math.floor(random() * 2 ** 32)
        words[word] = (template[0] as number) ^ ((noise & 1) << this.#era.flags.referenced)
        words[word + HEAD_WORD] = (template[HEAD_WORD] as number) ^ (noise & 0x0fff_fff0)
        words[word + MAPPING_WORD] = (template[MAPPING_WORD] as number) ^ (noise & 0x0ff0_ff00)
        words[word + COUNT_WORD] = (template[COUNT_WORD] as number) + (noise & 3)
      }
    }
  }

  /** A page of this use: the head or a page alone, the second of a block, any later one. */
  #template(page: SyntheticPage, index: number): Int32Array {
    const key = `${page.use} ${page.order ?? 0} ${page.private ?? false} ${index}`
    const known = this.#templates.get(key)
    if (known) return known
    const bytes = new Uint8Array(PAGE_BYTES)
    const place = { address: 0n, pageBytes: PAGE_BYTES }
    writeStructPage(bytes, 0, { era: this.#era, page: { ...page, index }, place })
    const words = new Int32Array(bytes.buffer)
    words[0] = (words[0] as number) | ZONE_LOW
    words[1] = (words[1] as number) | ZONE_HIGH
    this.#templates.set(key, words)
    return words
  }
}
