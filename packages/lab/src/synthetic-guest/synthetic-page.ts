/**
 * What a page is used for, as the builder of a synthetic guest is told it:
 *
 * - `inUse`: kernel memory with no mark; `reserved`: kernel image and what firmware gave
 * - `free`: in the buddy allocator; `unaccepted`: a block of a confidential guest not accepted yet
 * - `anon`: memory of a process; `hugetlb`: of the hugetlb pool
 * - `cache`: page cache; `swapcache`: a page in the swap cache that no process maps any more
 * - `slab`, `table`, `zsmalloc`: what their names say
 * - `offline`: PageOffline
 * - `uninitialised`: all ones, as memory that was added is before it is onlined (Linux PAGE_POISON_PATTERN)
 */
export type SyntheticUse =
  | 'inUse'
  | 'reserved'
  | 'free'
  | 'unaccepted'
  | 'anon'
  | 'hugetlb'
  | 'cache'
  | 'swapcache'
  | 'slab'
  | 'table'
  | 'zsmalloc'
  | 'offline'
  | 'uninitialised'

/** One page frame, and where it stands in the block or compound page that it is part of. */
export interface SyntheticPage {
  readonly use: SyntheticUse
  /** Of the block or compound page: 0, a page alone, when left out. */
  readonly order?: number
  /** Which page of it this is: 0, the head, when left out. */
  readonly index?: number
  /** The filesystem keeps data with it (PG_private). */
  readonly private?: boolean
  /** PG_hwpoison. */
  readonly poisoned?: boolean
  /** When left out: 0 for `free`, `unaccepted` and tails, else 1. */
  readonly refcount?: number
  /** Fields that have another value than this use of the page gives them. */
  readonly fields?: Partial<RawFields>
}

/** Fields of a struct page as they lie in memory. `type` is the word of `_mapcount`. */
export interface RawFields {
  readonly flags: bigint
  /** `compound_head`, `compound_info`, `lru.next`. */
  readonly head: bigint
  readonly mapping: bigint
  readonly private: bigint
  readonly type: number
  readonly refcount: number
  /** Bytes 16 and 17: destructor and order of a compound page, in its second struct page. */
  readonly dtor: number
  readonly order: number
}
