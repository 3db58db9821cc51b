/** Entries of one x86-64 page table, of eight bytes each. */
export const TABLE_ENTRIES = 512
export const TABLE_WORDS = TABLE_ENTRIES * 2

/** Bits of the low half of an entry (Intel SDM volume 3, 4.5). */
export const PRESENT = 1 << 0
export const WRITABLE = 1 << 1
const ACCESSED = 1 << 5
const DIRTY = 1 << 6
/** Above the last level: maps 2 MiB or 1 GiB itself. In the last level the bit is part of the memory type. */
const LARGE = 1 << 7

const FRAME_HIGH_MASK = 0x000f_ffff
const LOW_FLAGS = 0xfff
/** What two tables that map the same may differ in: the processor sets these as it goes. */
export const SAME_MASK = ~(ACCESSED | DIRTY)

/** Level of a table: 1 is the last, 4 the root. A PV guest has four (Xen takes no five-level tables from one). */
export type TableLevel = 1 | 2 | 3 | 4

export const TABLE_LEVELS = [1, 2, 3, 4] as const satisfies readonly TableLevel[]

/** Frames that a large entry of a table of `level` maps, or 1 for an entry that is none. */
export function framesOfEntry(low: number, level: TableLevel): number {
  if ((low & LARGE) === 0) return 1
  return level === 2 ? 512 : level === 3 ? 262_144 : 1
}

/** Frame number in an entry, as the table numbers frames: the first one of a large entry's. */
export function frameOfEntry(low: number, high: number, frames: number): number {
  const frame = (high & FRAME_HIGH_MASK) * 0x10_0000 + (low >>> 12)
  return frame - (frame % frames)
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
 * pte_pfn_to_mfn), and so does one whose frames are not all the guest's, one after the other. Adds to `counts`.
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
    const frames = framesOfEntry(low, level)
    const gfn = frameOfEntry(low, high, frames)
    const pfn = frames === 1 ? toPfn(gfn) : toPfns(gfn, frames, toPfn)
    if (pfn === undefined) {
      counts.left++
      if (gfn < endPfn) counts.misleading++
      continue
    }
    counts.rewritten++
    // Bit 12 of a large entry is no part of the frame number but of the memory type.
    const kept = low & (frames === 1 ? LOW_FLAGS : 0x1fff)
    words[word] = ((pfn & 0xf_ffff) << 12) | kept
    words[word + 1] = (high & ~FRAME_HIGH_MASK) | Math.floor(pfn / 0x10_0000)
  }
}

/** The first of `frames` frames of the guest's that stand together where the machine's do, or undefined. */
function toPfns(gfn: number, frames: number, toPfn: (gfn: number) => number | undefined): number | undefined {
  const pfn = toPfn(gfn)
  if (pfn === undefined || pfn % frames !== 0) return undefined
  for (let i = 1; i < frames; i++) if (toPfn(gfn + i) !== pfn + i) return undefined
  return pfn
}
