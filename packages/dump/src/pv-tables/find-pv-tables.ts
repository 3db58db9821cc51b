import { createHash } from 'node:crypto'
import { endOf, type PfnRange, PfnSet } from '@ullage/pages'
import { PvTables } from './pv-tables.ts'
import {
  frameOfEntry,
  isLarge,
  PRESENT,
  SAME_MASK,
  TABLE_ENTRIES,
  TABLE_LEVELS,
  TABLE_WORDS,
  type TableLevel,
  WRITABLE,
} from './table-entries.ts'

/** Root entries from here on map the kernel's half of the addresses. */
const KERNEL_SLOT = 256
/** Root entries that Xen keeps for itself, half-open (Xen xen/include/public/arch-x86/xen-x86_64.h, HYPERVISOR_VIRT_START). */
const XEN_SLOTS = { start: 256, end: 272 } as const
/** Root entry of the page of system calls that processes see, the only one of the kernel's half in their own roots. */
const VSYSCALL_SLOT = 511

const PAGE_BYTES = 4096
/** Frames read together: a live domain is asked as seldom as can be. */
const BATCH_FRAMES = 256

/** What is asked of a guest. */
export interface PvMemory {
  /** Fills `into` with frames of guest RAM and returns true, or returns false when one of them has no memory. */
  readFrames(range: PfnRange, into: Uint8Array): boolean
  /** From a machine frame to the frame of guest RAM. */
  toPfn(gfn: number): number | undefined
}

export interface FoundTables {
  readonly tables: PvTables
  /** Root tables: the kernel's, and those of processes. */
  readonly roots: number
  /** Frames that a table leads to as to a table, but that the kernel can write to: no page tables, so left alone. */
  readonly doubted: number
}

/**
 * Finds the page tables of a paravirtualised x86-64 guest, none that is not one. Xen counts what each frame is used for: a
 * frame is a page table and nobody can write to it, or it is no page table (Xen xen/arch/x86/mm.c, get_page_type). So:
 *
 * - `roots` are roots for certain: those that vCPUs have loaded, and the kernel's.
 * - Whatever a root leads to is a table of the level that it is reached at, unless the kernel can write to it.
 * - A frame that the kernel maps, and nowhere writable, is a process's root when its kernel half is that of a root of
 *   `roots`. What a process has freed may have the same content, but is writable again.
 * - Each process has a second root for its user mode, which has no kernel half (Linux arch/x86/xen/mmu_pv.c,
 *   xen_get_user_pgd): such a frame, not writable, whose other half is that of a process's first root.
 *
 * Tables of a process that is being made or unmade are plain memory to Xen and are not found. Reads each table of the
 * kernel's half once, of processes all but those of the last level. Memory: six bits for each frame of the guest.
 */
export function findPvTables(
  memory: PvMemory,
  roots: readonly number[],
  options: { signal?: AbortSignal | undefined } = {},
): FoundTables {
  const search = new TableSearch(memory, options.signal)
  for (const root of roots) search.addRoot(root)
  search.findProcesses()
  return search.finish()
}

class TableSearch {
  readonly #memory: PvMemory
  readonly #signal: AbortSignal | undefined
  readonly #tables = new PvTables()
  readonly #seen = new PfnSet()
  /** Frames that the kernel's half maps, and those of them that it can write to. */
  readonly #mapped = new PfnSet()
  readonly #writable = new PfnSet()
  /** The last of the mapped frames, not in the sets yet. */
  #run = { start: 0, count: 0, writable: false }
  readonly #words = TABLE_LEVELS.map(() => new Uint32Array(TABLE_WORDS))
  readonly #bytes = this.#words.map((words) => new Uint8Array(words.buffer))
  readonly #kernelHalves = new Set<string>()
  readonly #userHalves = new Set<string>()
  #roots = 0

  constructor(memory: PvMemory, signal: AbortSignal | undefined) {
    this.#memory = memory
    this.#signal = signal
  }

  addRoot(pfn: number): void {
    if (this.#seen.has(pfn) || !this.#readTable(pfn, 4)) return
    const words = this.#words[3] as Uint32Array
    if (!isEmpty(words, XEN_SLOTS.end, TABLE_ENTRIES)) {
      this.#kernelHalves.add(halfOf(words, XEN_SLOTS.end, TABLE_ENTRIES))
    }
    if (!isEmpty(words, 0, KERNEL_SLOT)) this.#userHalves.add(halfOf(words, 0, KERNEL_SLOT))
    this.#roots++
    this.#add(pfn, 4)
    this.#follow(4, { start: 0, end: KERNEL_SLOT, isKernel: false })
    this.#follow(4, { start: XEN_SLOTS.end, end: TABLE_ENTRIES, isKernel: true })
  }

  /** Looks for roots among the frames that the kernel maps and cannot write to: first roots, then their second ones. */
  findProcesses(): void {
    this.#map(undefined, false)
    const others = new PfnSet()
    this.#eachReadOnly((pfn, words) => {
      if (this.#isProcessRoot(words)) this.addRoot(pfn)
      else if (isPlausibleUserRoot(words)) others.add({ start: pfn, count: 1 })
    })
    const words = this.#words[3] as Uint32Array
    // A second root may map nothing but the page of system calls: those come last, known by those before them.
    for (const isRoot of [() => this.#isUserRoot(words), () => this.#isProcessRoot(words)]) {
      for (const run of others.allRuns()) {
        for (let pfn = run.start; pfn < endOf(run); pfn++) {
          if (!this.#seen.has(pfn) && this.#readTable(pfn, 4) && isRoot()) this.addRoot(pfn)
        }
      }
    }
  }

  finish(): FoundTables {
    this.#map(undefined, false)
    const doubted = this.#tables.deleteAll(this.#writable)
    return { tables: this.#tables, roots: this.#roots, doubted }
  }

  #isProcessRoot(words: Uint32Array): boolean {
    return this.#kernelHalves.has(halfOf(words, XEN_SLOTS.end, TABLE_ENTRIES))
  }

  #isUserRoot(words: Uint32Array): boolean {
    return !isEmpty(words, 0, KERNEL_SLOT) && this.#userHalves.has(halfOf(words, 0, KERNEL_SLOT))
  }

  /** Reads the frames that the kernel maps and cannot write to, but for tables that are known, many at a time. */
  #eachReadOnly(look: (pfn: number, words: Uint32Array) => void): void {
    const bytes = new Uint8Array(BATCH_FRAMES * PAGE_BYTES)
    const tell = (range: PfnRange) => {
      for (let i = 0; i < range.count; i++) {
        if (this.#seen.has(range.start + i)) continue
        look(range.start + i, new Uint32Array(bytes.buffer, i * PAGE_BYTES, TABLE_WORDS))
      }
    }
    for (const range of this.#readOnly()) {
      this.#signal?.throwIfAborted()
      if (this.#memory.readFrames(range, bytes.subarray(0, range.count * PAGE_BYTES))) {
        tell(range)
        continue
      }
      for (let pfn = range.start; pfn < endOf(range); pfn++) {
        const one = { start: pfn, count: 1 }
        if (this.#memory.readFrames(one, bytes.subarray(0, PAGE_BYTES))) tell(one)
      }
    }
  }

  *#readOnly(): Generator<PfnRange> {
    for (const run of this.#mapped.allRuns()) {
      for (let at = run.start; at < endOf(run); ) {
        const start = this.#writable.next(at, false, endOf(run))
        const end = this.#writable.next(start, true, Math.min(endOf(run), start + BATCH_FRAMES))
        if (end > start) yield { start, count: end - start }
        at = Math.max(end, start)
      }
    }
  }

  #readTable(pfn: number, level: TableLevel): boolean {
    return this.#memory.readFrames({ start: pfn, count: 1 }, this.#bytes[level - 1] as Uint8Array)
  }

  #add(pfn: number, level: TableLevel): void {
    this.#seen.add({ start: pfn, count: 1 })
    this.#tables.add(pfn, level)
  }

  /** Follows the entries [start, end) of the table of `level` that was read last. */
  #follow(level: TableLevel, part: { start: number; end: number; isKernel: boolean }): void {
    this.#signal?.throwIfAborted()
    const words = this.#words[level - 1] as Uint32Array
    for (let entry = part.start; entry < part.end; entry++) {
      const low = words[entry * 2] as number
      if ((low & PRESENT) === 0) continue
      const pfn = this.#memory.toPfn(frameOfEntry(low, words[entry * 2 + 1] as number))
      if (level === 1) {
        // Tables above can forbid it too, and a table can be reached by several: its own entry forbids it for certain.
        this.#map(pfn, (low & WRITABLE) !== 0)
        continue
      }
      if (isLarge(low, level) || pfn === undefined || this.#seen.has(pfn)) continue
      const below = (level - 1) as TableLevel
      // What a process has mapped says nothing that the kernel's half does not: its last tables need not be read.
      if (below === 1 && !part.isKernel) {
        this.#add(pfn, 1)
      } else if (this.#readTable(pfn, below)) {
        this.#add(pfn, below)
        this.#follow(below, { start: 0, end: TABLE_ENTRIES, isKernel: part.isKernel })
      }
    }
  }

  /** Frames that stand together are mostly mapped one after the other: they go into the sets as one. */
  #map(pfn: number | undefined, writable: boolean): void {
    const run = this.#run
    if (pfn === run.start + run.count && writable === run.writable) {
      run.count++
      return
    }
    this.#mapped.add(run)
    if (run.writable) this.#writable.add(run)
    this.#run = { start: pfn ?? 0, count: pfn === undefined ? 0 : 1, writable }
  }
}

/** Whether it can be the second root of a process: it has nothing of the kernel's half but the page of system calls. */
function isPlausibleUserRoot(words: Uint32Array): boolean {
  const hasSome = !isEmpty(words, 0, KERNEL_SLOT) || !isEmpty(words, VSYSCALL_SLOT, TABLE_ENTRIES)
  return hasSome && isEmpty(words, XEN_SLOTS.end, VSYSCALL_SLOT)
}

/** What the root entries [start, end) map, as text to compare. */
function halfOf(words: Uint32Array, start: number, end: number): string {
  const masked = words.slice(start * 2, end * 2)
  for (let i = 0; i < masked.length; i += 2) masked[i] = (masked[i] as number) & SAME_MASK
  return createHash('sha256').update(masked).digest('base64')
}

function isEmpty(words: Uint32Array, start: number, end: number): boolean {
  for (let entry = start; entry < end; entry++) if (((words[entry * 2] as number) & PRESENT) !== 0) return false
  return true
}
