import type { GuestFrames } from './guest-frames.ts'
import { ABSENT, type Paging } from './paging.ts'

/**
 * - `mapped`: `gfn` and `frames` tell where.
 * - `absent`: no entry; `frames` tells for how long.
 * - `unreadable`: a table lies outside guest RAM or in a frame that the host does not back; `frames` tells for how long.
 */
export type WalkOutcome = 'mapped' | 'absent' | 'unreadable'

interface CachedTable {
  pfn: number
  readonly bytes: Uint8Array
  readonly view: DataView
}

interface Level {
  readonly shift: bigint
  readonly mask: bigint
  /** Frames one entry of this level spans. */
  readonly frames: number
  /** What the entries take of the table. */
  readonly usedBytes: number
  readonly table: CachedTable
}

/**
 * Walks the guest's page tables. Keeps the table it read last at each level, so a walk along an address range reads each
 * table once. A walk never takes more steps than there are levels, whatever the tables say.
 */
export class PageWalker {
  readonly paging: Paging
  readonly rootPfn: number
  /** After `mapped`: the frame, as page tables number it, that holds the address. */
  gfn = 0
  /** After `mapped`: frames from the one of the address to the end of its mapping. Otherwise: to the next entry. */
  frames = 0
  readonly #guest: GuestFrames
  readonly #levels: readonly Level[]
  /** Level and place, in bytes, of the entry that the last walk ended with; none after a table that could not be read. */
  #depth = -1
  #at = 0
  /** Whether the address of the last walk is mapped. */
  #isMapped = false

  constructor(guest: GuestFrames, paging: Paging, rootPfn: number) {
    this.paging = paging
    this.rootPfn = rootPfn
    this.#guest = guest
    this.#levels = paging.levels.map(({ shift, indexBits }) => {
      const bytes = new Uint8Array(guest.frameBytes)
      return {
        shift: BigInt(shift),
        mask: (1n << BigInt(indexBits)) - 1n,
        frames: 2 ** (shift - guest.frameShift),
        usedBytes: 8 * 2 ** indexBits,
        table: { pfn: -1, bytes, view: new DataView(bytes.buffer) },
      }
    })
  }

  /** Forgets the tables read before: the guest may have changed them. */
  forget(): void {
    for (const { table } of this.#levels) table.pfn = -1
  }

  walk(virtual: bigint): WalkOutcome {
    this.#depth = -1
    if (!this.paging.isMappable(virtual)) {
      this.frames = 1
      return 'absent'
    }
    let pfn = this.rootPfn
    // What a table that cannot be read would have told of: all that its parent's entry spans.
    let span = Number.MAX_SAFE_INTEGER
    const page = virtual >> BigInt(this.#guest.frameShift)
    for (let depth = 0; depth < this.#levels.length; depth++) {
      const level = this.#levels[depth] as Level
      if (!this.#load(level.table, pfn)) return this.#unreadable(page, span)
      const at = Number((virtual >> level.shift) & level.mask) * 8
      const code = this.paging.decode(
        level.table.view.getUint32(at, true),
        level.table.view.getUint32(at + 4, true),
        depth,
      )
      const isLeaf = code !== ABSENT && code % 2 === 1
      if (code === ABSENT || isLeaf) {
        const into = Number(page & BigInt(level.frames - 1))
        this.frames = level.frames - into
        this.#depth = depth
        this.#at = at
        this.#isMapped = isLeaf
        if (!isLeaf) return 'absent'
        this.gfn = (code - 1) / 2 + into
        return 'mapped'
      }
      const next = this.#guest.view.toPfn(code / 2)
      span = level.frames
      if (next === undefined) return this.#unreadable(page, span)
      pfn = next
    }
    throw new RangeError(`${this.paging.name} page tables have no level below the last`)
  }

  /**
   * After a walk: makes `frames` as many as the entries that follow in the same table go on with, mapping neighbouring frames
   * or nothing as the one of the address does, but no more entries than `most` frames need.
   */
  extend(most: number): void {
    const level = this.#levels[this.#depth]
    if (!level) return
    const { view } = level.table
    for (let at = this.#at + 8; this.frames < most && at < level.usedBytes; at += 8) {
      const code = this.paging.decode(view.getUint32(at, true), view.getUint32(at + 4, true), this.#depth)
      if (code !== (this.#isMapped ? (this.gfn + this.frames) * 2 + 1 : ABSENT)) return
      this.frames += level.frames
    }
  }

  #unreadable(page: bigint, span: number): WalkOutcome {
    this.frames = span === Number.MAX_SAFE_INTEGER ? span : span - Number(page & BigInt(span - 1))
    return 'unreadable'
  }

  #load(table: CachedTable, pfn: number): boolean {
    if (table.pfn === pfn) return true
    table.pfn = -1
    if (!this.#guest.readFrame(pfn, table.bytes)) return false
    table.pfn = pfn
    return true
  }
}
