import type { SparseFrames } from './sparse-frames.ts'

/** Flags in the low bits of section_mem_map (Linux include/linux/mmzone.h, with CONFIG_ZONE_DEVICE). */
export const SECTION_FLAGS = {
  present: 1n,
  hasMap: 2n,
  online: 4n,
  early: 8n,
  device: 16n,
  preinit: 32n,
} as const

/**
 * - `online`: present, with a map, online, there since boot; `onlinePreinit`: besides, with the flag of 6.17 and later
 * - `hotAdded`: as `online`, but added later; `offline`: added, not yet onlined or offlined again; `withoutMap`: present only
 * - `device`: memory of a device (ZONE_DEVICE), which is never online
 */
export type SectionState = 'online' | 'onlinePreinit' | 'hotAdded' | 'offline' | 'withoutMap' | 'device' | 'absent'

const STATES: Readonly<Record<SectionState, bigint>> = {
  online: SECTION_FLAGS.present | SECTION_FLAGS.hasMap | SECTION_FLAGS.online | SECTION_FLAGS.early,
  onlinePreinit:
    SECTION_FLAGS.present | SECTION_FLAGS.hasMap | SECTION_FLAGS.online | SECTION_FLAGS.early | SECTION_FLAGS.preinit,
  hotAdded: SECTION_FLAGS.present | SECTION_FLAGS.hasMap | SECTION_FLAGS.online,
  offline: SECTION_FLAGS.present | SECTION_FLAGS.hasMap,
  withoutMap: SECTION_FLAGS.present,
  device: SECTION_FLAGS.present | SECTION_FLAGS.hasMap | SECTION_FLAGS.device,
  absent: 0n,
}

export interface SectionTableOptions {
  readonly memory: SparseFrames
  /** `extreme`: an array of pointers to pages of structures. `flat`: one array. */
  readonly kind: 'extreme' | 'flat'
  readonly sections: number
  /** SIZE(mem_section): 16, or 32 with page extensions. */
  readonly structBytes: number
  /** Virtual address of the array. */
  readonly base: bigint
  /** Maps the page at a virtual address to a frame of its own, once, and gives the frame. */
  pageAt(virtual: bigint): number
  /** Virtual address of a new page for structures. */
  newPage(): bigint
}

/** The `mem_section` of one synthetic kernel. */
export class SectionTable {
  readonly #options: SectionTableOptions
  readonly #perRoot: number

  constructor(options: SectionTableOptions) {
    this.#options = options
    this.#perRoot = Math.floor(options.memory.frameBytes / options.structBytes)
  }

  /** LENGTH(mem_section). */
  get length(): number {
    const { kind, sections } = this.#options
    return kind === 'flat' ? sections : Math.ceil(sections / this.#perRoot)
  }

  /** Writes the entry of one section. `map`: address of frame 0's struct page as this section counts it. */
  write(section: number, state: SectionState, map: bigint): void {
    this.writeCoded(section, state === 'absent' ? 0n : map | STATES[state])
  }

  /** Writes `section_mem_map` as it stands. */
  writeCoded(section: number, coded: bigint): void {
    this.#options.memory.writeU64(this.at(section), coded)
  }

  /** Physical address, in bytes, of the structure of one section. */
  at(section: number): number {
    const { kind, structBytes, base, memory } = this.#options
    if (kind === 'flat') return this.#physical(base + BigInt(section * structBytes))
    const slot = this.#physical(base + BigInt(Math.floor(section / this.#perRoot) * 8))
    if (memory.readU64(slot) === 0n) memory.writeU64(slot, this.#options.newPage())
    return this.#physical(memory.readU64(slot)) + (section % this.#perRoot) * structBytes
  }

  #physical(virtual: bigint): number {
    const { memory } = this.#options
    const inPage = Number(virtual & BigInt(memory.frameBytes - 1))
    return this.#options.pageAt(virtual - BigInt(inPage)) * memory.frameBytes + inPage
  }
}
