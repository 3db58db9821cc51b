import type { SparseFrames } from './sparse-frames.ts'
import type { SyntheticArchitecture } from './synthetic-architecture.ts'

/** Writes the page tables of one synthetic kernel. */
export class PageTables {
  readonly rootPfn: number
  /** Every table, the root among them. */
  readonly tables: number[]
  readonly #memory: SparseFrames
  readonly #architecture: SyntheticArchitecture
  readonly #allocate: () => number

  /** `allocate` gives the frame of each table that is needed. */
  constructor(
    memory: SparseFrames,
    options: { architecture: SyntheticArchitecture; rootPfn: number; allocate: () => number },
  ) {
    this.#memory = memory
    this.#architecture = options.architecture
    this.#allocate = options.allocate
    this.rootPfn = options.rootPfn
    this.tables = [options.rootPfn]
  }

  /** Frames that one block maps, at the level above the last. */
  get blockFrames(): number {
    const { levels, frameBytes } = this.#architecture
    return 2 ** (levels.at(-2)?.shift ?? 0) / frameBytes
  }

  /** Maps `count` neighbouring frames, in blocks where all is aligned to them and `blocks` says so. */
  map(virtual: bigint, pfn: number, count = 1, blocks = false): void {
    const { frameBytes } = this.#architecture
    for (let done = 0; done < count; ) {
      const at = virtual + BigInt(done) * BigInt(frameBytes)
      const fits =
        blocks &&
        count - done >= this.blockFrames &&
        (pfn + done) % this.blockFrames === 0 &&
        at % BigInt(this.blockFrames * frameBytes) === 0n
      this.#write(at, pfn + done, fits ? 'block' : 'page')
      done += fits ? this.blockFrames : 1
    }
  }

  /** Physical address, in bytes, of the entry at `level` (0 is the root) that `virtual` goes through; undefined without. */
  entryAt(virtual: bigint, level: number): number | undefined {
    let table = this.rootPfn
    for (let depth = 0; depth < level; depth++) {
      const entry = this.#memory.readU64(this.#slot(table, virtual, depth))
      if (entry === 0n) return undefined
      table = this.#architecture.tablePfn(entry)
    }
    return this.#slot(table, virtual, level)
  }

  #write(virtual: bigint, pfn: number, kind: 'page' | 'block'): void {
    const last = this.#architecture.levels.length - (kind === 'page' ? 1 : 2)
    let table = this.rootPfn
    for (let depth = 0; depth < last; depth++) {
      const slot = this.#slot(table, virtual, depth)
      const entry = this.#memory.readU64(slot)
      if (entry === 0n) {
        table = this.#allocate()
        this.tables.push(table)
        this.#memory.writeU64(slot, this.#architecture.entry(table, 'table'))
      } else table = this.#architecture.tablePfn(entry)
    }
    this.#memory.writeU64(this.#slot(table, virtual, last), this.#architecture.entry(pfn, kind))
  }

  #slot(table: number, virtual: bigint, depth: number): number {
    const level = this.#architecture.levels[depth] ?? { shift: 0, indexBits: 0 }
    const index = Number((virtual >> BigInt(level.shift)) & ((1n << BigInt(level.indexBits)) - 1n))
    return table * this.#architecture.frameBytes + index * 8
  }
}
