import { Refusal } from './refusal.ts'
import { required, type Vmcoreinfo } from './vmcoreinfo.ts'

/** One bit of a struct page: a 32-bit word, counted from the start of the structure, and a mask. */
export interface BitField {
  readonly word: number
  /** Zero where the kernel does not export the bit: it is then never set. */
  readonly mask: number
}

/** A page type: the value that `_mapcount`, shifted right by `typeShift`, then has. */
export interface PageType {
  readonly told: boolean
  readonly value: number
}

/** How hugetlb pages are told, by what the kernel exports. `dtorByte` counts from the start of the second struct page. */
export type HugetlbMark =
  | { readonly kind: 'type'; readonly value: number }
  | { readonly kind: 'flag'; readonly word: number; readonly mask: number }
  | { readonly kind: 'dtor'; readonly word: number; readonly shift: number; readonly value: number }
  | { readonly kind: 'untold' }

/**
 * Where the order of a compound page is: a byte that counts from the start of the second struct page, or the low byte of
 * the second struct page's flags (6.6 and later).
 */
export interface OrderMark {
  readonly told: boolean
  readonly word: number
  readonly shift: number
}

/**
 * Where the fields of `struct page` are and what marks a page, from VMCOREINFO. What is exported decides, never the
 * kernel's version: distributions move features between versions. Offsets count 32-bit words.
 */
export interface StructPage {
  readonly bytes: number
  readonly flags: number
  readonly refcount: number
  readonly mapcount: number
  readonly mapping: number
  readonly private: number
  /** `compound_head`, `compound_info` since 7.1: bit 0 marks a tail page. Undefined where it is not exported. */
  readonly compoundHead: number | undefined
  /** 24 where the type is the top byte (6.12 and later), 0 where it is the whole of `_mapcount`. */
  readonly typeShift: number
  readonly buddy: PageType
  readonly offline: PageType
  readonly unaccepted: PageType
  readonly slabType: PageType
  readonly hugetlb: HugetlbMark
  readonly order: OrderMark
  readonly hwpoison: BitField
  readonly slab: BitField
  readonly head: BitField
  readonly lru: BitField
  readonly privateBit: BitField
  /** False where PG_private is not exported: all page cache is then taken for private. */
  readonly privateTold: boolean
  readonly swapcache: BitField
  /** PG_swapcache counts only beside it, where it is exported (since 4.10). */
  readonly swapbacked: BitField
  readonly swapbackedTold: boolean
  /** LENGTH(zone.free_area): orders of free blocks are below it. */
  readonly orders: number
}

/** Free blocks beyond 2^20 frames would not fit into any section. */
const MAX_ORDERS = 21

/** Reads the layout that `info` gives. Throws Refusal when a field that every kernel exports is missing or makes no sense. */
export function structPage(info: Vmcoreinfo): StructPage {
  const bytes = required(info.size('page'), 'SIZE(page)')
  if (bytes < 32 || bytes > 256 || bytes % 8 !== 0) throw new Refusal(`SIZE(page) is ${bytes}, no kernel's`)
  const wordOf = (offset: number, size: number, line: string): number => {
    if (offset % 4 !== 0 || offset + size > bytes)
      throw new Refusal(`${line} is ${offset} in a struct of ${bytes} bytes`)
    return offset / 4
  }
  const field = (name: string, size: number): number => {
    const line = `OFFSET(page.${name})`
    return wordOf(required(info.offset(`page.${name}`), line), size, line)
  }
  const flags = field('flags', 8)
  const bit = (name: string): BitField => {
    const number = info.number(name)
    if (number === undefined) return { word: flags, mask: 0 }
    if (number < 0n || number > 63n) throw new Refusal(`NUMBER(${name}) is ${number}, flags have 64 bits`)
    return { word: flags + (number > 31n ? 1 : 0), mask: 1 << (Number(number) & 31) }
  }
  const headOffset = info.offset('page.compound_head') ?? info.offset('page.compound_info')
  const orders = required(info.length('zone.free_area'), 'LENGTH(zone.free_area)')
  if (orders < 1 || orders > MAX_ORDERS) throw new Refusal(`LENGTH(zone.free_area) is ${orders}, no kernel's`)
  const typeShift = typeShiftOf(info)
  const type = (name: string): PageType => {
    const value = info.number(name)
    return { told: value !== undefined, value: value === undefined ? 0 : toInt32(value) >> typeShift }
  }
  return {
    bytes,
    flags,
    refcount: field(info.offset('page._refcount') === undefined ? '_count' : '_refcount', 4),
    mapcount: field('_mapcount', 4),
    mapping: field('mapping', 8),
    private: field('private', 8),
    compoundHead: headOffset === undefined ? undefined : wordOf(headOffset, 8, 'OFFSET(page.compound_head)'),
    typeShift,
    buddy: type('PAGE_BUDDY_MAPCOUNT_VALUE'),
    offline: type('PAGE_OFFLINE_MAPCOUNT_VALUE'),
    unaccepted: type('PAGE_UNACCEPTED_MAPCOUNT_VALUE'),
    slabType: type('PAGE_SLAB_MAPCOUNT_VALUE'),
    hugetlb: hugetlbMark(info, { bytes, flags, typeShift }),
    order: orderMark(info, { bytes, flags }),
    hwpoison: bit('PG_hwpoison'),
    slab: bit('PG_slab'),
    head: headBit(info, flags),
    lru: bit('PG_lru'),
    privateBit: bit('PG_private'),
    privateTold: info.number('PG_private') !== undefined,
    swapcache: bit('PG_swapcache'),
    swapbacked: bit('PG_swapbacked'),
    swapbackedTold: info.number('PG_swapbacked') !== undefined,
    orders,
  }
}

/**
 * Since 6.12 the type of a page is the top byte of the word and the rest is free for data; exported values then end in
 * three zero bytes. Before, a type clears one bit of a word of ones and the whole word is compared.
 */
function typeShiftOf(info: Vmcoreinfo): number {
  const value = info.number('PAGE_BUDDY_MAPCOUNT_VALUE') ?? info.number('PAGE_OFFLINE_MAPCOUNT_VALUE')
  return value !== undefined && (toInt32(value) & 0xff_ffff) === 0 ? 24 : 0
}

function hugetlbMark(info: Vmcoreinfo, page: { bytes: number; flags: number; typeShift: number }): HugetlbMark {
  const type = info.number('PAGE_HUGETLB_MAPCOUNT_VALUE')
  if (type !== undefined) return { kind: 'type', value: toInt32(type) >> page.typeShift }
  const flag = info.number('PG_hugetlb')
  if (flag !== undefined && flag >= 0n && flag < 64n) {
    return { kind: 'flag', word: page.flags + (flag > 31n ? 1 : 0), mask: 1 << (Number(flag) & 31) }
  }
  const value = info.number('HUGETLB_PAGE_DTOR')
  const inFolio = info.offset('folio._folio_dtor')
  const offset = inFolio === undefined ? info.offset('page.compound_dtor') : inFolio - page.bytes
  if (value === undefined || offset === undefined || offset < 0 || offset >= page.bytes) return { kind: 'untold' }
  return { kind: 'dtor', word: offset >> 2, shift: (offset & 3) * 8, value: Number(value & 0xffn) }
}

/**
 * Kernels export where the order is as long as it has a byte of its own; what has a destructor's number and no such line is
 * older than any that is known to.
 */
function orderMark(info: Vmcoreinfo, page: { bytes: number; flags: number }): OrderMark {
  const inFolio = info.offset('folio._folio_order')
  const offset = inFolio === undefined ? info.offset('page.compound_order') : inFolio - page.bytes
  if (offset !== undefined) {
    return { told: offset >= 0 && offset < page.bytes, word: offset >> 2, shift: (offset & 3) * 8 }
  }
  return { told: info.number('HUGETLB_PAGE_DTOR') === undefined, word: page.flags, shift: 0 }
}

/** NUMBER(PG_head_mask) is a mask, not a bit number. */
function headBit(info: Vmcoreinfo, flags: number): BitField {
  const mask = info.number('PG_head_mask')
  if (mask === undefined || mask <= 0n) return { word: flags, mask: 0 }
  const isHigh = mask >> 32n !== 0n
  return { word: flags + (isHigh ? 1 : 0), mask: toInt32(isHigh ? mask >> 32n : mask) }
}

function toInt32(value: bigint): number {
  return Number(BigInt.asIntN(32, value))
}
