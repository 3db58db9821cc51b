import { type PfnRange, PfnSet } from '@ullage/pages'
import { TABLE_LEVELS, type TableLevel } from './table-entries.ts'

/** Frames of the guest that are page tables, by level. A frame has one level: the hypervisor allows no other. */
export class PvTables {
  readonly #levels = TABLE_LEVELS.map(() => new PfnSet())

  /** Number of frames. */
  get size(): number {
    return this.#levels.reduce((frames, set) => frames + set.size, 0)
  }

  /** Frames that are tables of `level`. */
  ofLevel(level: TableLevel): PfnSet {
    return this.#levels[level - 1] as PfnSet
  }

  levelOf(pfn: number): TableLevel | undefined {
    return TABLE_LEVELS.find((level) => this.ofLevel(level).has(pfn))
  }

  add(pfn: number, level: TableLevel): void {
    this.ofLevel(level).add({ start: pfn, count: 1 })
  }

  /** Takes out the frames of `other`; returns how many there were. */
  deleteAll(other: PfnSet): number {
    const before = this.size
    for (const set of this.#levels) {
      const taken: PfnRange[] = []
      for (const run of set.allRuns()) taken.push(...other.runs(run))
      for (const run of taken) set.delete(run)
    }
    return before - this.size
  }
}
