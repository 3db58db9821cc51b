import { KPF } from '@ullage/lab'
import type { GuestClass } from '@ullage/dump'

/** Bits of /proc/kpageflags beyond the lab's (Linux include/uapi/linux/kernel-page-flags.h, include/linux/kernel-page-flags.h). */
export const KPF_MORE = {
  dirty: 4,
  lru: 5,
  mmap: 11,
  swapcache: 13,
  unevictable: 18,
  thp: 22,
  zeroPage: 24,
  pgtable: 26,
  reserved: 32,
  mlocked: 33,
  private: 35,
} as const

/** The bits whose agreement with classes is told, by name. */
export const TOLD = { ...KPF, ...KPF_MORE }

/**
 * The class that each frame has by the kernel's own flags, with the precedence of the classes. A tail of a compound page
 * is what its head is. No kernel tells of a free block's tails that they are tails: it calls each of them free.
 */
export function expectedClasses(kpageflags: BigUint64Array): GuestClass[] {
  let ofHead: GuestClass = 'inUse'
  return Array.from(kpageflags, (flags) => {
    const has = (bit: number) => ((flags >> BigInt(bit)) & 1n) === 1n
    if (has(KPF.nopage)) return 'noStructPage'
    if (has(KPF.hwpoison)) return 'hwpoison'
    if (has(KPF.offline)) return 'offline'
    if (has(KPF.buddy)) return 'free'
    if (has(KPF.compoundTail)) return ofHead
    const found = ofOne(has)
    ofHead = found
    return found
  })
}

function ofOne(has: (bit: number) => boolean): GuestClass {
  if (has(KPF.huge)) return 'user'
  // Some kernels call slabs anonymous: what is the mapping of other pages is the slab's own.
  if (has(KPF.slab) || has(KPF_MORE.pgtable)) return 'inUse'
  if (has(KPF.anon)) return 'user'
  if (has(KPF_MORE.lru) || has(KPF_MORE.swapcache)) return has(KPF_MORE.private) ? 'cachePrivate' : 'cache'
  return 'inUse'
}
