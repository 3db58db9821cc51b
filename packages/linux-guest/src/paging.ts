/** Code of a table entry that maps nothing. */
export const ABSENT = -1

/** How an architecture's page tables are laid out. Entries have eight bytes. */
export interface Paging {
  /** Such as `x86-64 five-level`. */
  readonly name: string
  /** From the root down: which bits of a virtual address choose an entry of that level's table. */
  readonly levels: readonly PagingLevel[]
  /** Whether `virtual` is an address that these tables can map at all. */
  isMappable(virtual: bigint): boolean
  /**
   * What an entry of a table of level `level` (0 is the root) says: `ABSENT`, or twice the frame number plus one when it
   * maps memory itself, plus zero when it points to a table of the next level. Frame numbers are those of page tables
   * (gfn), in units of the guest's page size.
   */
  decode(low: number, high: number, level: number): number
}

export interface PagingLevel {
  /** Lowest address bit of the index. */
  readonly shift: number
  readonly indexBits: number
}
