/** Entries of one x86-64 page table, of eight bytes each. */
export const TABLE_ENTRIES = 512
export const TABLE_WORDS = TABLE_ENTRIES * 2

/** Bits of the low half of an entry (Intel SDM volume 3, 4.5). */
export const PRESENT = 1 << 0
export const WRITABLE = 1 << 1
const ACCESSED = 1 << 5
const DIRTY = 1 << 6
/** Above the last level: maps memory itself. In the last level the bit is part of the memory type. */
const LARGE = 1 << 7

const FRAME_HIGH_MASK = 0x000f_ffff
const LOW_FLAGS = 0xfff
/** What two tables that map the same may differ in: the processor sets these as it goes. */
export const SAME_MASK = ~(ACCESSED | DIRTY)

/** Level of a table: 1 is the last, 4 the root. A PV guest has four (Xen takes no five-level tables from one). */
export type TableLevel = 1 | 2 | 3 | 4

export const TABLE_LEVELS = [1, 2, 3, 4] as const satisfies readonly TableLevel[]

/**
 * Whether an entry of a table of `level` maps more than a frame. Xen lets no PV guest have such entries (Xen
 * xen/arch/x86/mm.c, base_disallow_mask).
 */
export function isLarge(low: number, level: TableLevel): boolean {
  return level !== 1 && (low & LARGE) !== 0
}

/** Frame number in an entry, as the table numbers frames. */
export function frameOfEntry(low: number, high: number): number {
  return (high & FRAME_HIGH_MASK) * 0x10_0000 + (low >>> 12)
}

/** What became of the entries of tables, in entries that are present. */
export interface EntryCounts {
  /** Name a frame of the guest's, by its own number now. */
  rewritten: number
  /** Name no frame of the guest's (the hypervisor's, a device's, another guest's), and were left as they were. */
  left: number
  /** Those of them whose number a reader takes for a frame of the guest's. */
  misleading: number
}

/**
 * Turns the machine frames in one table into the guest's own frame numbers, in place: `words` holds it, as 32-bit words
 * from index `at` on. An entry that is not present holds no machine frame and stays (Linux arch/x86/xen/mmu_pv.c
 * pte_pfn_to_mfn), and so does one whose frame is not the guest's, or that maps more than a frame. Adds to `counts`.
 */
export function rewriteTable(
  words: Uint32Array,
  at: number,
  options: { level: TableLevel; toPfn: (gfn: number) => number | undefined; endPfn: number; counts: EntryCounts },
): void {
  const { level, toPfn, endPfn, counts } = options
  for (let word = at; word < at + TABLE_WORDS; word += 2) {
    const low = words[word] as number
    if ((low & PRESENT) === 0) continue
    const high = words[word + 1] as number
    const gfn = frameOfEntry(low, high)
    const pfn = isLarge(low, level) ? undefined : toPfn(gfn)
    if (pfn === undefined) {
      counts.left++
      if (gfn < endPfn) counts.misleading++
      continue
    }
    counts.rewritten++
    words[word] = ((pfn & 0xf_ffff) << 12) | (low & LOW_FLAGS)
    words[word + 1] = (high & ~FRAME_HIGH_MASK) | Math.floor(pfn / 0x10_0000)
  }
}
