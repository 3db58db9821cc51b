import type { GuestMemory, RamExtent } from '@ullage/offline-query'
import { endOf, type PfnRange } from '@ullage/pages'
import type { CrashP2m } from './crash-p2m.ts'
import type { PvTables } from './pv-tables.ts'
import { type EntryCounts, rewriteTable, TABLE_LEVELS, type TableLevel } from './table-entries.ts'

/**
 * Guest memory whose page tables hold the guest's own frame numbers, and above it the frames of crash's list. All else
 * is the guest's, byte by byte. Counts what it rewrites: each frame is meant to be read once.
 */
export class RewrittenMemory implements GuestMemory {
  readonly frameBytes: number
  readonly extents: readonly RamExtent[]
  readonly notDumped: GuestMemory['notDumped']
  readonly counts: EntryCounts = { rewritten: 0, left: 0, misleading: 0 }
  /** Tables that were read. */
  tables = 0
  readonly #memory: GuestMemory
  readonly #found: PvTables
  readonly #p2m: CrashP2m | undefined
  readonly #endPfn: number
  readonly #toPfn: (gfn: number) => number | undefined

  constructor(
    memory: GuestMemory,
    options: { tables: PvTables; p2m: CrashP2m | undefined; toPfn: (gfn: number) => number | undefined },
  ) {
    this.frameBytes = memory.frameBytes
    this.notDumped = memory.notDumped
    this.#memory = memory
    this.#found = options.tables
    this.#p2m = options.p2m
    this.#toPfn = options.toPfn
    this.#endPfn = Math.max(0, ...memory.extents.map(endOf))
    this.extents = options.p2m ? [...memory.extents, { name: 'crash-p2m', ...options.p2m.range }] : memory.extents
  }

  read(range: PfnRange, into: Uint8Array): void {
    const p2m = this.#p2m
    if (p2m && range.start >= p2m.range.start) {
      for (let i = 0; i < range.count; i++) p2m.fill(range.start + i, into.subarray(i * this.frameBytes))
      return
    }
    this.#memory.read(range, into)
    const words = new Uint32Array(into.buffer, into.byteOffset, into.length / 4)
    for (const level of TABLE_LEVELS) {
      for (const run of this.#found.ofLevel(level).runs(range)) this.#rewrite(words, run, range.start, level)
    }
  }

  #rewrite(words: Uint32Array, run: PfnRange, start: number, level: TableLevel): void {
    for (let pfn = run.start; pfn < endOf(run); pfn++) {
      const at = ((pfn - start) * this.frameBytes) / 4
      rewriteTable(words, at, { level, toPfn: this.#toPfn, endPfn: this.#endPfn, counts: this.counts })
      this.tables++
    }
  }
}
