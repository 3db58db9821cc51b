/**
 * What the guest's kernel says of a frame: the first that matches, in this order of precedence but for `unknown`, which
 * stands for a struct page that cannot be decoded or read. The code of a class is its index.
 *
 * - `noStructPage`: in no memory section, or in one that is absent or not online
 * - `hwpoison`: the hardware said that its content is lost
 * - `offline`: PageOffline: ballooned, unplugged, not yet onlined
 * - `unaccepted`: not yet accepted by a confidential guest
 * - `free`: in the buddy allocator
 * - `user`: anonymous memory, or a hugetlb page
 * - `cachePrivate`: page cache with private data; `cache`: without
 * - `inUse`: all else that has a struct page
 */
export const guestClasses = [
  'unknown',
  'noStructPage',
  'hwpoison',
  'offline',
  'unaccepted',
  'free',
  'user',
  'cachePrivate',
  'cache',
  'inUse',
] as const

export type GuestClass = (typeof guestClasses)[number]

/** Codes that `classify` fills in. */
export const GUEST_CLASS = {
  unknown: 0,
  noStructPage: 1,
  hwpoison: 2,
  offline: 3,
  unaccepted: 4,
  free: 5,
  user: 6,
  cachePrivate: 7,
  cache: 8,
  inUse: 9,
} as const satisfies Readonly<Record<GuestClass, number>>
