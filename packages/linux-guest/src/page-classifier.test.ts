import { describe, expect, test } from 'vitest'
import { ERA_LINES, type EraLines } from '../test/era-lines.ts'
import { type PageFields, structPageBytes } from '../test/synthetic-guest.ts'
import { ClassRuns } from './class-runs.ts'
import { GUEST_CLASS, type GuestClass, guestClasses } from './guest-class.ts'
import { PageClassifier } from './page-classifier.ts'
import { structPage } from './struct-page.ts'
import { Vmcoreinfo } from './vmcoreinfo.ts'

const SECTION_FRAMES = 32_768
const HEAD = 0xffff_ea00_0000_0001n
const ANON = 0xffff_8880_0000_0001n

const eras: readonly EraLines[] = ['5.10', '6.6', '6.12', '7.2']

function info(lines: Readonly<Record<string, string>>): Vmcoreinfo {
  const common = {
    OSRELEASE: 'x',
    'SIZE(page)': '64',
    'OFFSET(page.flags)': '0',
    'OFFSET(page._refcount)': '52',
    'OFFSET(page.mapping)': '24',
    'OFFSET(page._mapcount)': '48',
    'OFFSET(page.private)': '40',
    'LENGTH(zone.free_area)': '11',
  }
  return Vmcoreinfo.parse(
    Object.entries({ ...common, ...lines })
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  )
}

/** The classes of these pages, standing at frame `at` of a section and classified in pieces of `piece`. */
function classify(
  lines: Readonly<Record<string, string>>,
  pages: readonly PageFields[],
  options: { at?: number; piece?: number; tailClass?: GuestClass; tailFrames?: number } = {},
): GuestClass[] {
  const { at = 0, piece = at + pages.length } = options
  const all = [...Array.from({ length: at }, (): PageFields => ({})), ...pages]
  const bytes = Uint8Array.from(all.flatMap((page) => [...structPageBytes(page)]))
  const words = new Int32Array(bytes.buffer)
  const classifier = new PageClassifier(structPage(info(lines)), SECTION_FRAMES)
  const { tailClass, tailFrames = SECTION_FRAMES } = options
  classifier.rules.start(0, tailClass && { frames: tailFrames, tailClass: GUEST_CLASS[tailClass] })
  const runs = new ClassRuns()
  runs.start(all.length)
  for (let start = 0; start < all.length; start += piece) {
    const count = Math.min(piece, all.length - start)
    classifier.classify({ words, start: start * 16, count }, runs, start)
  }
  const codes = new Uint8Array(all.length)
  runs.writeTo(codes)
  return [...codes.subarray(at)].map((code) => guestClasses[code] as GuestClass)
}

const repeat = (count: number, page: PageFields): PageFields[] => Array.from({ length: count }, () => page)

/** Struct pages as kernels of an era write them. */
function pagesOf(era: EraLines) {
  const lines: Readonly<Record<string, string>> = ERA_LINES[era]
  const value = (name: string): number => Number(lines[`NUMBER(${name})`])
  const bit = (name: string): bigint => 1n << BigInt(value(name))
  const headFlag = BigInt(lines['NUMBER(PG_head_mask)'] ?? '0')
  const buddy = value('PAGE_BUDDY_MAPCOUNT_VALUE')
  const offline = value('PAGE_OFFLINE_MAPCOUNT_VALUE')
  const tail: PageFields = { compoundHead: HEAD }
  const slab: PageFields =
    'NUMBER(PG_slab)' in lines
      ? { flags: bit('PG_slab'), mapcount: buddy }
      : { mapcount: value('PAGE_SLAB_MAPCOUNT_VALUE') }
  /** A compound page of 2^order frames: what its head is and what its second struct page has besides its order. */
  const compound = (order: number, head: PageFields, second: PageFields = {}): PageFields[] => {
    const orderFields = 'OFFSET(page.compound_order)' in lines ? { order } : { flags: BigInt(order) }
    const first = { ...tail, ...second, ...orderFields, flags: (second.flags ?? 0n) | (orderFields.flags ?? 0n) }
    return [{ ...head, flags: (head.flags ?? 0n) | headFlag }, first, ...repeat(2 ** order - 2, tail)]
  }
  const hugetlb: readonly PageFields[] = (() => {
    if ('NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)' in lines) {
      return compound(2, { mapcount: value('PAGE_HUGETLB_MAPCOUNT_VALUE') })
    }
    if ('NUMBER(PG_hugetlb)' in lines) return compound(2, {}, { flags: bit('PG_hugetlb') })
    return compound(2, {}, { dtor: value('HUGETLB_PAGE_DTOR') })
  })()
  return { lines, bit, headFlag, buddy, offline, tail, slab, hugetlb, compound }
}

describe.each(eras)('%s', (era) => {
  const { lines, bit, headFlag, buddy, offline, tail, slab, hugetlb, compound } = pagesOf(era)

  test('free blocks reach to the end of their order, a page with references in them is not free', () => {
    const pages = [{ mapcount: buddy, private: 2n, refcount: 0 }, { refcount: 0 }, {}, { refcount: 0 }, { refcount: 0 }]
    expect(classify(lines, pages)).toEqual(['free', 'free', 'inUse', 'free', 'inUse'])
    expect(classify(lines, pages, { piece: 1 })).toEqual(['free', 'free', 'inUse', 'free', 'inUse'])
  })

  test.each([
    ['an order that no kernel has', { private: 11n }, 0],
    ['an order of 2^32', { private: 1n << 32n }, 0],
    ['a negative order', { private: (1n << 64n) - 1n }, 0],
    ['a block not aligned to its order', { private: 3n }, 4],
    ['references to the head', { private: 1n, refcount: 1 }, 0],
  ])('a free block with %s is not believed', (_what, fields, at) => {
    const pages = [{ mapcount: buddy, refcount: 0, ...fields }, { refcount: 0 }]
    expect(classify(lines, pages, { at })).toEqual(['inUse', 'inUse'])
  })

  test('offline pages are offline one by one, also inside a free block', () => {
    const pages = [
      { mapcount: buddy, private: 2n, refcount: 0 },
      { mapcount: offline, refcount: 0 },
      { refcount: 0 },
      { mapcount: offline },
      { mapcount: offline },
    ]
    expect(classify(lines, pages)).toEqual(['free', 'offline', 'free', 'offline', 'offline'])
  })

  test('slab pages are in use whatever their words look like', () => {
    const pages = [{ ...slab, mapping: ANON }, slab, { ...slab, flags: (slab.flags ?? 0n) | bit('PG_lru') }]
    expect(classify(lines, pages)).toEqual(['inUse', 'inUse', 'inUse'])
    if ('NUMBER(PG_slab)' in lines) {
      const words = [buddy, offline].map((mapcount) => ({ ...slab, mapcount, refcount: 0 }))
      expect(classify(lines, words)).toEqual(['inUse', 'inUse'])
      const counted = { flags: bit('PG_slab') | bit('PG_lru'), mapcount: 5, mapping: ANON }
      expect(classify(lines, [counted])).toEqual(['inUse'])
    }
  })

  test('anonymous memory is user, with the tails of a huge page and not one page more', () => {
    const pages = [...compound(2, { mapping: ANON }), { mapping: ANON }, {}, tail]
    expect(classify(lines, pages)).toEqual(['user', 'user', 'user', 'user', 'user', 'inUse', 'inUse'])
  })

  test('what points to a huge page is part of it as far as its order goes, and only where it is aligned', () => {
    const stale = [...compound(1, { mapping: ANON }), tail, tail]
    expect(classify(lines, stale)).toEqual(['user', 'user', 'inUse', 'inUse'])
    const askew = compound(2, { mapping: ANON })
    expect(classify(lines, askew, { at: 2 })).toEqual(['user', 'inUse', 'inUse', 'inUse'])
    for (const order of [0, 21, 200]) {
      const [head, second, ...rest] = compound(2, { mapping: ANON })
      const wrong = 'OFFSET(page.compound_order)' in lines ? { order } : { flags: BigInt(order) }
      const pages = [{ ...head }, { ...second, ...wrong }, ...rest]
      expect(classify(lines, pages)).toEqual(['user', 'inUse', 'inUse', 'inUse'])
    }
    expect(classify(lines, [{ mapping: ANON }, tail, tail])).toEqual(['user', 'inUse', 'inUse'])
  })

  test('a hugetlb page whose struct pages share memory is one all the same', () => {
    const [head, second, ...rest] = hugetlb as [PageFields, PageFields, ...PageFields[]]
    const order3 = 'OFFSET(page.compound_order)' in lines ? { order: 3 } : { flags: (second.flags ?? 0n) ^ 2n ^ 3n }
    const first = { ...second, ...order3 }
    const pages = [head, first, ...rest, head, first, ...rest, {}]
    expect(classify(lines, pages)).toEqual([...repeat(8, {}).map(() => 'user'), 'inUse'])
  })

  test('fields of tails mean nothing', () => {
    const odd = { compoundHead: HEAD, mapping: ANON, flags: bit('PG_lru') }
    expect(classify(lines, [{ flags: headFlag }, odd, odd])).toEqual(['inUse', 'inUse', 'inUse'])
  })

  test('hugetlb pages are user', () => {
    expect(classify(lines, [...hugetlb, {}])).toEqual(['user', 'user', 'user', 'user', 'inUse'])
  })

  test('page cache is told by its private data, anonymous pages in it are user', () => {
    const lru = bit('PG_lru')
    const swapcache = bit('PG_swapcache')
    const pages = [
      { flags: lru },
      { flags: lru | bit('PG_private') },
      { flags: lru, mapping: ANON },
      { flags: swapcache },
      { flags: swapcache | bit('PG_swapbacked') },
      {},
      ...compound(1, { flags: lru }),
    ]
    const found = ['cache', 'cachePrivate', 'user', 'inUse', 'cache', 'inUse', 'cache', 'cache']
    expect(classify(lines, pages)).toEqual(found)
  })

  test('a page never initialised is unknown and ends what came before', () => {
    const blank: PageFields = { flags: (1n << 64n) - 1n, mapcount: -1, refcount: -1 }
    const [head, second, , last] = compound(2, { mapping: ANON })
    const pages = [{ ...head }, { ...second }, blank, { ...last }]
    expect(classify(lines, pages)).toEqual(['user', 'user', 'unknown', 'inUse'])
  })

  test('tails at the start of a section take the class of their head before it', () => {
    expect(classify(lines, [tail, tail, {}], { tailClass: 'user' })).toEqual(['user', 'user', 'inUse'])
    expect(classify(lines, [tail, tail, {}], { tailClass: 'user', tailFrames: 1 })).toEqual(['user', 'inUse', 'inUse'])
    expect(classify(lines, [tail, tail, {}])).toEqual(['inUse', 'inUse', 'inUse'])
  })
})

test.each(eras.filter((era) => era !== '5.10'))(
  '%s: poison comes first: of a hugetlb page for all of it, of any other for one frame',
  (era) => {
    const { lines, bit, offline, hugetlb, compound } = pagesOf(era)
    const poison = bit('PG_hwpoison')
    const [head, ...tails] = hugetlb
    const huge = [{ ...head, flags: (head?.flags ?? 0n) | poison }, ...tails, {}]
    expect(classify(lines, huge)).toEqual(['hwpoison', 'hwpoison', 'hwpoison', 'hwpoison', 'inUse'])
    const [first, second, third, fourth] = compound(2, { mapping: ANON })
    const anon = [{ ...first }, { ...second }, { ...third, flags: poison }, { ...fourth }]
    expect(classify(lines, anon)).toEqual(['user', 'user', 'hwpoison', 'user'])
    expect(classify(lines, [{ mapcount: offline, flags: poison }, {}])).toEqual(['hwpoison', 'inUse'])
    expect(classify(lines, compound(1, { mapping: ANON, flags: poison }))).toEqual(['hwpoison', 'user'])
  },
)

test('unaccepted blocks have the largest order', () => {
  const pages = [{ mapcount: -150_994_944, refcount: 0 }, ...repeat(1023, { refcount: 0 }), { refcount: 0 }]
  const classes = classify(ERA_LINES['7.2'], pages)
  expect(new Set(classes.slice(0, 1024))).toEqual(new Set(['unaccepted']))
  expect(classes[1024]).toBe('inUse')
  expect(classify(ERA_LINES['7.2'], pages, { at: 512 })[0]).toBe('inUse')
})

test('page types of 6.12 and later may carry data in their low bits', () => {
  const pages = [
    { mapcount: -251_658_240 + 0x1234 },
    { mapcount: -268_435_456 + 7, refcount: 0 },
    // A page table, then a type that did not exist when this was written.
    { mapcount: 0xf200_0000 | 0, mapping: ANON },
    { mapcount: 0xf900_0000 | 0, mapping: ANON },
  ]
  expect(classify(ERA_LINES['6.12'], pages)).toEqual(['offline', 'free', 'inUse', 'inUse'])
})

test('a kernel that does not export how tails are marked says nothing of users and cache', () => {
  const { 'OFFSET(page.compound_head)': _dropped, ...lines } = ERA_LINES['6.12']
  const pages = [{ mapping: ANON }, { flags: 1n << 5n }, { mapcount: -251_658_240 }]
  expect(classify(lines, pages)).toEqual(['inUse', 'inUse', 'offline'])
})
