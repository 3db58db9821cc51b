import { ABSENT, type Paging } from './paging.ts'

/** Translation granules of the architecture (Arm DDI 0487, D8.2). */
const PAGE_SHIFTS = [12, 14, 16]
/** An entry has eight bytes, and a table fills one page. */
const ENTRY_SHIFT = 3

/** Low bits of an entry: an address range of its own, a table of the next level, or at the last level a page. */
const BLOCK = 1
const TABLE_OR_PAGE = 3

export interface Arm64PagingOptions {
  /** log2 of the page size: 12, 14 or 16. */
  readonly pageShift: number
  /** Bits of a kernel address that its tables translate. */
  readonly addressBits: number
  /** Whether entries have the form of FEAT_LPA2 (TCR_EL1.DS), which only pages of 4 and 16 KiB have. */
  readonly isLpa2: boolean
}

/** Tables of the upper half of the address space, those that TTBR1_EL1 leads to (Arm DDI 0487, D8.3). */
export function arm64Paging({ pageShift, addressBits, isLpa2 }: Arm64PagingOptions): Paging {
  if (!PAGE_SHIFTS.includes(pageShift)) throw new RangeError(`pages of 2^${pageShift} bytes are not arm64's`)
  const indexBits = pageShift - ENTRY_SHIFT
  const depth = Math.ceil((addressBits - pageShift) / indexBits)
  const levels = Array.from({ length: depth }, (_, level) => {
    const shift = pageShift + (depth - 1 - level) * indexBits
    return { shift, indexBits: Math.min(indexBits, addressBits - shift) }
  })
  const last = depth - 1
  const toGfn = frameDecoder(pageShift, isLpa2)
  // Levels count from the last, number 3 of the architecture. Ranges of 512 GiB, or 64 GiB of 16 KiB pages, exist in the
  // form of LPA2 only, ranges of 4 TiB of 64 KiB pages with 52 bits of physical address.
  const largest =
    pageShift === 12 && !isLpa2 ? last - 2 : pageShift === 14 && !isLpa2 ? last - 1 : last - largestUp(pageShift)
  return {
    name: `arm64 ${2 ** (pageShift - 10)} KiB, ${addressBits}-bit`,
    levels,
    // The processor may be told to ignore the top byte (TBI), where KASAN keeps its tags.
    isMappable: (virtual) =>
      BigInt.asUintN(56 - addressBits, virtual >> BigInt(addressBits)) === (1n << BigInt(56 - addressBits)) - 1n,
    decode: (low, high, level) => {
      const type = low & 3
      if (type === TABLE_OR_PAGE) return toGfn(low, high) * 2 + (level === last ? 1 : 0)
      if (type !== BLOCK || level === last || level < largest) return ABSENT
      const frames = 2 ** ((levels[level]?.shift ?? 0) - pageShift)
      const gfn = toGfn(low, high)
      return (gfn - (gfn % frames)) * 2 + 1
    },
  }
}

/** How many levels above the last may map memory themselves, at most. */
function largestUp(pageShift: number): number {
  return pageShift === 12 ? 3 : 2
}

/**
 * Frame number of an entry. Addresses have 48 bits; four more lie in bits 12 to 15 with pages of 64 KiB, and with LPA2 two
 * in place and two in bits 8 and 9, which otherwise tell how memory is shared.
 */
function frameDecoder(pageShift: number, isLpa2: boolean): (low: number, high: number) => number {
  const highUnit = 2 ** (32 - pageShift)
  if (pageShift === 16) {
    return (low, high) => ((low >>> 12) & 0xf) * 2 ** 32 + (high & 0xffff) * highUnit + (low >>> 16)
  }
  if (!isLpa2) return (low, high) => (high & 0xffff) * highUnit + (low >>> pageShift)
  return (low, high) => ((low >>> 8) & 3) * 2 ** (50 - pageShift) + (high & 0x3_ffff) * highUnit + (low >>> pageShift)
}
