import type { KernelEra } from './kernel-era.ts'
import type { RawFields, SyntheticPage } from './synthetic-page.ts'

/** Offsets of fields, in bytes, the same in all of these kernels (Linux include/linux/mm_types.h, 64 bits). */
export const structPageOffsets = {
  flags: 0,
  head: 8,
  dtor: 16,
  order: 17,
  mapping: 24,
  private: 40,
  type: 48,
  refcount: 52,
} as const

/** mapping of a tail page (Linux include/linux/poison.h TAIL_MAPPING). */
const TAIL_MAPPING = 0xdead_0000_0000_0400n
/** An address_space and an anon_vma somewhere in the direct map; PAGE_MAPPING_ANON is bit 0. */
const CACHE_MAPPING = 0xffff_8880_0765_4320n
const ANON_MAPPING = 0xffff_8880_0123_4560n | 1n
/** Neighbours in a list of pages. */
const LIST_NEIGHBOUR = 0xffff_ea00_0012_3448n

/** A frame and where the struct pages of its neighbours are. */
export interface PagePlace {
  /** Address of this struct page. */
  readonly address: bigint
  readonly pageBytes: number
}

/** Writes one struct page as a kernel of `era` would. */
export function writeStructPage(
  into: Uint8Array,
  at: number,
  options: { era: KernelEra; page: SyntheticPage; place: PagePlace },
): void {
  const { era, page, place } = options
  into.fill(page.use === 'uninitialised' ? 0xff : 0, at, at + place.pageBytes)
  if (page.use === 'uninitialised') return
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength)
  const fields = { ...fieldsOf(era, page, place), ...page.fields }
  view.setBigUint64(at + structPageOffsets.flags, fields.flags, true)
  view.setBigUint64(at + structPageOffsets.head, BigInt.asUintN(64, fields.head), true)
  // Both lie in the word after `head`, the other neighbour of a list in a page that is no tail.
  if (fields.dtor !== 0 || fields.order !== 0) {
    view.setUint8(at + structPageOffsets.dtor, fields.dtor)
    view.setUint8(at + structPageOffsets.order, fields.order)
  }
  view.setBigUint64(at + structPageOffsets.mapping, fields.mapping, true)
  view.setBigUint64(at + structPageOffsets.private, BigInt.asUintN(64, fields.private), true)
  view.setInt32(at + structPageOffsets.type, fields.type, true)
  view.setInt32(at + structPageOffsets.refcount, fields.refcount, true)
}

/** The fields of a page of this use, as the kernel leaves them. */
function fieldsOf(era: KernelEra, page: SyntheticPage, place: PagePlace): RawFields {
  const { use, order = 0, index = 0 } = page
  const poison = page.poisoned ? bit(era.flags.hwpoison) : 0n
  const blank: RawFields = {
    flags: poison,
    head: 0n,
    mapping: 0n,
    private: 0n,
    type: -1,
    refcount: page.refcount ?? 1,
    dtor: 0,
    order: 0,
  }
  if (use === 'free' || use === 'unaccepted') {
    // A block is not compound: the frames after its head have nothing but no reference.
    const free = { ...blank, refcount: page.refcount ?? 0 }
    if (index > 0) return free
    const type = use === 'free' ? era.types.buddy : (era.types.unaccepted ?? -1)
    return { ...free, head: LIST_NEIGHBOUR, private: BigInt(use === 'free' ? order : 0), type }
  }
  if (order > 0 && isCompound(use)) {
    if (index > 0) return tailOf(era, page, place, blank)
    const head = ownFields(era, page, blank)
    return { ...head, flags: head.flags | bit(era.flags.head) }
  }
  return ownFields(era, page, blank)
}

function ownFields(era: KernelEra, page: SyntheticPage, blank: RawFields): RawFields {
  const { flags, types } = era
  switch (page.use) {
    case 'reserved':
      return { ...blank, flags: blank.flags | bit(flags.reserved) }
    case 'anon': {
      const anon = bit(flags.lru) | bit(flags.swapbacked) | bit(flags.uptodate)
      return { ...blank, flags: blank.flags | anon, head: LIST_NEIGHBOUR, mapping: ANON_MAPPING, type: 0 }
    }
    case 'cache': {
      const cache = bit(flags.lru) | bit(flags.referenced) | bit(flags.uptodate)
      return withPrivate(page, flags.private, { ...blank, flags: blank.flags | cache, mapping: CACHE_MAPPING })
    }
    case 'swapcache': {
      const cached = bit(flags.swapcache) | bit(flags.swapbacked) | bit(flags.uptodate)
      return withPrivate(page, flags.private, { ...blank, flags: blank.flags | cached, private: 0x7_0123n })
    }
    case 'slab':
      // Where slab is a flag the word of `_mapcount` is the slab's own, and may look like anything: like PageOffline.
      return {
        ...blank,
        flags: blank.flags | (flags.slab === undefined ? 0n : bit(flags.slab)),
        mapping: ANON_MAPPING,
        type: flags.slab === undefined ? (types.slab ?? -1) : types.offline,
      }
    case 'hugetlb':
      return { ...blank, mapping: CACHE_MAPPING, type: types.hugetlb ?? -1 }
    case 'table':
      // A page table's lock lies where others have a mapping and private data.
      return { ...blank, mapping: ANON_MAPPING, private: 0xffff_8880_0111_2220n, type: types.table }
    case 'zsmalloc':
      return { ...blank, flags: blank.flags | bit(flags.private), type: types.zsmalloc ?? -1 }
    case 'offline':
      return { ...blank, type: types.offline }
    default:
      return blank
  }
}

function withPrivate(page: SyntheticPage, privateBit: number, fields: RawFields): RawFields {
  if (!page.private) return fields
  return { ...fields, flags: fields.flags | bit(privateBit), private: 0xffff_8880_0abc_def0n }
}

function tailOf(era: KernelEra, page: SyntheticPage, place: PagePlace, blank: RawFields): RawFields {
  const { order = 0, index = 0 } = page
  const pageBytes = BigInt(place.pageBytes)
  // A mask needs struct pages of a power of two (Linux include/linux/page-flags.h compound_info_has_mask).
  const isMask = era.tails === 'mask' && (place.pageBytes & (place.pageBytes - 1)) === 0
  const head = isMask ? -1n << BigInt(order + Math.log2(place.pageBytes)) : place.address - BigInt(index) * pageBytes
  const tail = { ...blank, head: head | 1n, mapping: TAIL_MAPPING, refcount: page.refcount ?? 0 }
  if (index > 1) return tail
  const isHugetlb = page.use === 'hugetlb'
  const inFlags = era.order === 'flags' ? BigInt(order) : 0n
  return {
    ...tail,
    flags: tail.flags | inFlags | (isHugetlb && era.hugetlb === 'flag' ? bit(era.flags.hugetlb) : 0n),
    // 1 is the destructor of any other compound page (Linux include/linux/mm.h COMPOUND_PAGE_DTOR).
    dtor: era.order === 'byte' ? (isHugetlb ? 2 : 1) : 0,
    order: era.order === 'byte' ? order : 0,
  }
}

/** Page tables, balloon pages and zsmalloc's are single pages, or blocks that are not compound. */
function isCompound(use: SyntheticPage['use']): boolean {
  return use !== 'offline' && use !== 'table' && use !== 'reserved' && use !== 'zsmalloc'
}

function bit(number: number | undefined): bigint {
  return number === undefined ? 0n : 1n << BigInt(number)
}
