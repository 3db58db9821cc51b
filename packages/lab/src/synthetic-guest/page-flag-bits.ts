/** Bit numbers of page flags (Linux include/linux/page-flags.h). Those that an era lacks are left out. */
export interface PageFlagBits {
  readonly referenced: number
  readonly uptodate: number
  readonly lru: number
  readonly head: number
  readonly reserved: number
  readonly private: number
  readonly swapcache: number
  readonly swapbacked: number
  readonly slab?: number
  readonly hwpoison?: number
  /** In the second struct page of a compound page. */
  readonly hugetlb?: number
}

/** 4.19 (page-flags.h): no PG_workingset yet; the balloon's type, ~0x100, is not exported. */
export const FLAGS_4_19: PageFlagBits = {
  referenced: 2,
  uptodate: 3,
  lru: 5,
  slab: 8,
  swapcache: 9,
  reserved: 11,
  private: 12,
  head: 15,
  swapbacked: 18,
  hwpoison: 22,
}

/** 5.4 to 6.5. */
export const FLAGS_5: PageFlagBits = {
  referenced: 1,
  uptodate: 2,
  lru: 4,
  slab: 9,
  swapcache: 10,
  reserved: 12,
  private: 13,
  head: 16,
  swapbacked: 19,
  hwpoison: 23,
}

/** 6.6: PG_head and PG_writeback moved down, since the order of a compound page takes the low byte of its second flags. */
export const FLAGS_6_6: PageFlagBits = {
  referenced: 2,
  uptodate: 3,
  lru: 5,
  head: 6,
  hugetlb: 8,
  slab: 11,
  swapcache: 12,
  reserved: 14,
  private: 15,
  swapbacked: 19,
  hwpoison: 23,
}

/** 6.10: slab is a type. */
export const FLAGS_6_10: PageFlagBits = {
  referenced: 2,
  uptodate: 3,
  lru: 5,
  head: 6,
  swapcache: 11,
  reserved: 13,
  private: 14,
  swapbacked: 18,
  hwpoison: 22,
}

/** 6.12; read of Debian's. */
export const FLAGS_6_12: PageFlagBits = {
  referenced: 2,
  uptodate: 3,
  lru: 5,
  head: 6,
  swapcache: 10,
  reserved: 13,
  private: 14,
  swapbacked: 17,
  hwpoison: 20,
}

/** With PG_dropbehind before it; read of Debian's 7.2. */
export const FLAGS_6_17: PageFlagBits = { ...FLAGS_6_12, hwpoison: 21 }
