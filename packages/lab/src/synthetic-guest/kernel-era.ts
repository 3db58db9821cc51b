import {
  FLAGS_4_19,
  FLAGS_5,
  FLAGS_6_10,
  FLAGS_6_12,
  FLAGS_6_17,
  FLAGS_6_6,
  type PageFlagBits,
} from './page-flag-bits.ts'

/** What the word of `_mapcount` is of a page of each type. */
export interface PageTypeWords {
  readonly buddy: number
  readonly offline: number
  readonly table: number
  readonly slab?: number
  readonly hugetlb?: number
  readonly zsmalloc?: number
  readonly unaccepted?: number
}

/** How kernels of a time write struct pages and what of it VMCOREINFO tells. */
export interface KernelEra {
  readonly release: string
  readonly flags: PageFlagBits
  readonly types: PageTypeWords
  /** How a hugetlb page is marked: the destructor's number or a flag in its second struct page, or a page type. */
  readonly hugetlb: 'dtor' | 'flag' | 'type'
  /** Where the order of a compound page is: a byte of its own, or the low byte of the second struct page's flags. */
  readonly order: 'byte' | 'flags'
  /** What tails hold: the address of their head, or a mask that makes their own address the head's (7.1). */
  readonly tails: 'pointer' | 'mask'
  /** VMCOREINFO lines on struct page, beside those that every kernel has. */
  readonly lines: Readonly<Record<string, string>>
}

const lines = (numbers: Readonly<Record<string, number>>): Record<string, string> =>
  Object.fromEntries(Object.entries(numbers).map(([name, value]) => [`NUMBER(${name})`, String(value)]))

const flagLines = (flags: PageFlagBits): Record<string, string> =>
  lines({
    PG_lru: flags.lru,
    PG_private: flags.private,
    PG_swapcache: flags.swapcache,
    PG_swapbacked: flags.swapbacked,
    ...(flags.slab === undefined ? {} : { PG_slab: flags.slab }),
    ...(flags.hwpoison === undefined ? {} : { PG_hwpoison: flags.hwpoison }),
    PG_head_mask: 2 ** flags.head,
  })

const NAME_LINE = { 'OFFSET(uts_namespace.name)': '0' }
const POINTER_LINE = { 'OFFSET(page.compound_head)': '8' }
const DTOR_LINES = {
  'OFFSET(page.compound_dtor)': '16',
  'OFFSET(page.compound_order)': '17',
  'NUMBER(HUGETLB_PAGE_DTOR)': '2',
}

/** Until 6.10 a type clears one low bit of a word of ones. */
const TYPES_LOW: PageTypeWords = { buddy: ~0x80, offline: ~0x100, table: ~0x200 }

/** 6.11 alone has them at the top, sixteen low bits free for their owners. */
const TYPES_6_11: PageTypeWords = {
  buddy: ~0x4000_0000,
  offline: ~0x2000_0000,
  table: ~0x1000_0000,
  hugetlb: ~0x0400_0000,
  slab: ~0x0200_0000,
  // First object's offset beside the type.
  zsmalloc: ~0x0100_0000 & ~0xf0f,
}

/** Since 6.12 a type is the top byte. */
const TYPES_BYTE: PageTypeWords = {
  buddy: 0xf0 << 24,
  offline: 0xf1 << 24,
  table: (0xf2 << 24) | 0xff_ffff,
  hugetlb: 0xf4 << 24,
  slab: 0xf5 << 24,
  zsmalloc: (0xf6 << 24) | 0x1234,
  unaccepted: 0xf7 << 24,
}

const exported = (types: PageTypeWords, names: readonly (keyof PageTypeWords)[]): Record<string, string> =>
  lines(Object.fromEntries(names.map((name) => [`PAGE_${name.toUpperCase()}_MAPCOUNT_VALUE`, types[name] ?? 0])))

const era5 = (release: string, nameLine: Record<string, string>): KernelEra => ({
  release,
  flags: FLAGS_5,
  types: TYPES_LOW,
  hugetlb: 'dtor',
  order: 'byte',
  tails: 'pointer',
  lines: {
    ...flagLines(FLAGS_5),
    ...exported(TYPES_LOW, ['buddy', 'offline']),
    ...POINTER_LINE,
    ...DTOR_LINES,
    ...nameLine,
  },
})

const era612 = (
  release: string,
  flags: PageFlagBits,
  tails: KernelEra['tails'],
  more: readonly 'unaccepted'[],
): KernelEra => ({
  release,
  flags,
  types: TYPES_BYTE,
  hugetlb: 'type',
  order: 'flags',
  tails,
  lines: {
    ...flagLines(flags),
    ...exported(TYPES_BYTE, ['buddy', 'offline', 'hugetlb', 'slab', ...more]),
    ...(tails === 'mask' ? { 'OFFSET(page.compound_info)': '8' } : POINTER_LINE),
    ...NAME_LINE,
  },
})

const TYPES_6_9 = { ...TYPES_LOW, hugetlb: ~0x800 }
const TYPES_6_10 = { ...TYPES_6_9, slab: ~0x1000 }

/**
 * Kernels by what they export (Linux kernel/crash_core.c, kernel/vmcore_info.c since 6.9) and how they write struct pages
 * (include/linux/page-flags.h, mm_types.h). A name is the first release of its kind; distributions move features, so one
 * name may well be another's release.
 */
export const syntheticEras = {
  '4.19': {
    release: '4.19.0-synthetic',
    flags: FLAGS_4_19,
    types: TYPES_LOW,
    hugetlb: 'dtor',
    order: 'byte',
    tails: 'pointer',
    lines: { ...flagLines(FLAGS_4_19), ...exported(TYPES_LOW, ['buddy']), ...POINTER_LINE, ...DTOR_LINES },
  },
  '5.4': era5('5.4.0-synthetic', {}),
  '5.10': era5('5.10.0-synthetic', {}),
  '5.15': era5('5.15.0-synthetic', NAME_LINE),
  '6.1': era5('6.1.0-synthetic', NAME_LINE),
  /** Destructor and order moved into struct folio, whose second struct page they are in. */
  '6.3': {
    release: '6.3.0-synthetic',
    flags: FLAGS_5,
    types: TYPES_LOW,
    hugetlb: 'dtor',
    order: 'byte',
    tails: 'pointer',
    lines: {
      ...flagLines(FLAGS_5),
      ...exported(TYPES_LOW, ['buddy', 'offline']),
      ...POINTER_LINE,
      ...NAME_LINE,
      'NUMBER(HUGETLB_PAGE_DTOR)': '2',
      // Of struct folio, whose first part is one struct page: the builder adds SIZE(page).
      'OFFSET(folio._folio_dtor)': '16',
      'OFFSET(folio._folio_order)': '17',
    },
  },
  '6.6': {
    release: '6.6.0-synthetic',
    flags: FLAGS_6_6,
    types: TYPES_LOW,
    hugetlb: 'flag',
    order: 'flags',
    tails: 'pointer',
    lines: {
      ...flagLines(FLAGS_6_6),
      ...exported(TYPES_LOW, ['buddy', 'offline']),
      ...lines({ PG_hugetlb: 8 }),
      ...POINTER_LINE,
      ...NAME_LINE,
    },
  },
  /** Without CONFIG_HUGETLB_PAGE kernels up to 6.8 export no offline value either: one #ifdef holds both. */
  '6.6 without hugetlb': {
    release: '6.6.0-synthetic',
    flags: FLAGS_6_6,
    types: TYPES_LOW,
    hugetlb: 'flag',
    order: 'flags',
    tails: 'pointer',
    lines: { ...flagLines(FLAGS_6_6), ...exported(TYPES_LOW, ['buddy']), ...POINTER_LINE, ...NAME_LINE },
  },
  '6.9': {
    release: '6.9.0-synthetic',
    flags: FLAGS_6_6,
    types: TYPES_6_9,
    hugetlb: 'type',
    order: 'flags',
    tails: 'pointer',
    lines: {
      ...flagLines(FLAGS_6_6),
      ...exported(TYPES_6_9, ['buddy', 'offline', 'hugetlb']),
      ...POINTER_LINE,
      ...NAME_LINE,
    },
  },
  '6.10': {
    release: '6.10.0-synthetic',
    flags: FLAGS_6_10,
    types: TYPES_6_10,
    hugetlb: 'type',
    order: 'flags',
    tails: 'pointer',
    lines: {
      ...flagLines(FLAGS_6_10),
      ...exported(TYPES_6_10, ['buddy', 'offline', 'hugetlb', 'slab']),
      ...POINTER_LINE,
      ...NAME_LINE,
    },
  },
  '6.11': {
    release: '6.11.0-synthetic',
    flags: FLAGS_6_10,
    types: TYPES_6_11,
    hugetlb: 'type',
    order: 'flags',
    tails: 'pointer',
    lines: {
      ...flagLines(FLAGS_6_10),
      ...exported(TYPES_6_11, ['buddy', 'offline', 'hugetlb', 'slab']),
      ...POINTER_LINE,
      ...NAME_LINE,
    },
  },
  '6.12': era612('6.12.0-synthetic', FLAGS_6_12, 'pointer', []),
  '6.17': era612('6.17.0-synthetic', FLAGS_6_17, 'pointer', ['unaccepted']),
  '7.0': era612('7.0.0-synthetic', FLAGS_6_17, 'pointer', ['unaccepted']),
  '7.1': era612('7.1.0-synthetic', FLAGS_6_17, 'mask', ['unaccepted']),
  '7.2': era612('7.2.0-synthetic', FLAGS_6_17, 'mask', ['unaccepted']),
} as const satisfies Record<string, KernelEra>

export type SyntheticEraName = keyof typeof syntheticEras
