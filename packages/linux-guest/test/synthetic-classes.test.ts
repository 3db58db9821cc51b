import {
  type KernelEra,
  makeSyntheticGuest,
  type SyntheticGuestOptions,
  syntheticEras,
  type SyntheticPage,
  syntheticArm,
  syntheticX86,
} from '@ullage/lab'
import { describe, expect, test } from 'vitest'
import { type GuestClass, guestClasses, openLinuxGuest } from '../src/index.ts'

/** What a page of each use is to a dump, in a kernel of `era`. */
function classOf(era: KernelEra, page: SyntheticPage): GuestClass {
  const tells = (name: string): boolean => `NUMBER(PAGE_${name}_MAPCOUNT_VALUE)` in era.lines
  const isPoisoned = page.poisoned === true && era.flags.hwpoison !== undefined
  if (page.use === 'uninitialised') return 'unknown'
  if (isPoisoned) return 'hwpoison'
  switch (page.use) {
    case 'offline':
      return tells('OFFLINE') ? 'offline' : 'inUse'
    case 'unaccepted':
      return tells('UNACCEPTED') ? 'unaccepted' : 'inUse'
    case 'free':
      return 'free'
    case 'anon':
    case 'hugetlb':
      return 'user'
    case 'cache':
    case 'swapcache':
      return page.private ? 'cachePrivate' : 'cache'
    default:
      return 'inUse'
  }
}

const alone: readonly SyntheticPage[] = [
  { use: 'inUse' },
  { use: 'reserved' },
  { use: 'free' },
  { use: 'anon' },
  { use: 'cache' },
  { use: 'cache', private: true },
  { use: 'swapcache' },
  { use: 'swapcache', private: true },
  // Mapped again by a process, and in the swap cache still: anonymous first of all.
  { use: 'swapcache', fields: { mapping: 0xffff_8880_0123_4561n } },
  { use: 'slab' },
  { use: 'table' },
  { use: 'zsmalloc' },
  { use: 'offline' },
  { use: 'offline', refcount: 0 },
  { use: 'uninitialised' },
  { use: 'inUse', poisoned: true },
  { use: 'offline', poisoned: true },
  { use: 'cache', poisoned: true },
  // The largest number of mappings and the smallest.
  { use: 'anon', fields: { type: 0x7fff_ffff } },
  { use: 'anon', fields: { type: -1 } },
]

/** Blocks: of every order that a free one has, compound pages of all kinds. */
function blocksOf(era: KernelEra, largestOrder: number): SyntheticPage[] {
  const orders = (first: number, last: number): number[] =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i)
  return [
    ...orders(1, largestOrder).map((order): SyntheticPage => ({ use: 'free', order })),
    ...orders(1, 9).map((order): SyntheticPage => ({ use: 'anon', order })),
    ...orders(1, 9).map((order): SyntheticPage => ({ use: 'cache', order, private: order % 2 === 0 })),
    ...orders(1, 5).map((order): SyntheticPage => ({ use: 'slab', order })),
    ...orders(1, 5).map((order): SyntheticPage => ({ use: 'inUse', order })),
    ...('NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)' in era.lines
      ? [{ use: 'unaccepted', order: largestOrder } as const]
      : []),
    // Kernels that cannot mark hugetlb pages have none.
    ...(era === syntheticEras['6.6 without hugetlb']
      ? []
      : ([
          { use: 'hugetlb', order: 9 },
          { use: 'hugetlb', order: 10 },
        ] as const)),
  ]
}

const expectedOfSwapcache = (page: SyntheticPage): GuestClass | undefined =>
  page.use === 'swapcache' && page.fields?.mapping !== undefined ? 'user' : undefined

/** A guest with all of these pages; every frame of it must have the class that its page has. */
async function check(options: SyntheticGuestOptions & { era: KernelEra }): Promise<void> {
  const { era } = options
  const { guest, kernel } = makeSyntheticGuest(options)
  const base = guest.extents[0]?.start ?? 0
  const expected = new Map<number, GuestClass>()
  let next = base
  for (const page of alone) {
    kernel.mark(next, page)
    expected.set(next, expectedOfSwapcache(page) ?? classOf(era, page))
    next++
  }
  next = base + 8192
  for (const page of blocksOf(era, Number(kernel.lines.get('LENGTH(zone.free_area)')) - 1)) {
    const frames = 2 ** (page.order ?? 0)
    next = Math.ceil(next / frames) * frames
    kernel.mark(next, page)
    for (let i = 0; i < frames; i++) expected.set(next + i, classOf(era, page))
    next += frames
  }
  const { start = 0, count = 0 } = guest.extents[0] ?? {}
  const linux = await openLinuxGuest(guest, { elfNotes: kernel.note, search: false })
  const codes = new Uint8Array(count)
  linux.classify({ start, count }, codes)
  const wrong: string[] = []
  for (let i = 0; i < count; i++) {
    const found = guestClasses[codes[i] as number] as GuestClass
    const wanted = expected.get(start + i) ?? 'inUse'
    if (found !== wanted) wrong.push(`${i}: ${JSON.stringify(kernel.pageOf(start + i).use)} is ${found}, not ${wanted}`)
  }
  expect(wrong.slice(0, 10)).toEqual([])
  expect(linux.offlineTold).toBe('NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)' in era.lines)
  expect(linux.kernel).toBe(era.release)
}

describe.each(Object.entries(syntheticEras))('%s: every frame has the class of its page', (_name, era) => {
  test.each([
    ['56 bytes', { pageBytes: 56 }],
    ['64 bytes', { pageBytes: 64 }],
    ['80 bytes, flat mem_section', { pageBytes: 80, memSection: 'flat' }],
    ['96 bytes, mem_section of 32', { pageBytes: 96, sectionBytes: 32 }],
    ['64 bytes, no vmemmap', { memMap: 'sections' }],
    ['64 bytes, five-level tables in small pages', { architecture: syntheticX86({ fiveLevel: true }), blocks: false }],
    [
      '128 bytes, KASLR',
      { pageBytes: 128, architecture: syntheticX86({ virtualOffsetBytes: 0x1e0_0000 }), memSection: 'pointer' },
    ],
  ] satisfies [string, SyntheticGuestOptions][])('struct pages of %s', (_form, options) => check({ era, ...options }))
})

describe('arm64', () => {
  test.each([
    ['4 KiB, 39 bits', syntheticArm({ addressBits: 39 }), '5.10'],
    ['4 KiB, 48 bits', syntheticArm(), '6.1'],
    ['4 KiB, 52 bits', syntheticArm({ addressBits: 52 }), '6.12'],
    ['16 KiB, 47 bits', syntheticArm({ pageShift: 14, addressBits: 47 }), '6.6'],
    ['16 KiB, 48 bits', syntheticArm({ pageShift: 14 }), '7.2'],
    ['16 KiB, 52 bits', syntheticArm({ pageShift: 14, addressBits: 52 }), '6.12'],
    ['64 KiB, 42 bits', syntheticArm({ pageShift: 16, addressBits: 42 }), '4.19'],
    ['64 KiB, 48 bits', syntheticArm({ pageShift: 16 }), '5.15'],
    ['64 KiB, 52 bits', syntheticArm({ pageShift: 16, addressBits: 52 }), '7.2'],
  ] as const)('pages of %s of virtual address', async (_name, architecture, era) => {
    await check({ era: syntheticEras[era], architecture })
  })
})

describe('numbers that kernels print in another way', () => {
  test('types as unsigned numbers are the same types', async () => {
    const { guest, kernel } = makeSyntheticGuest({ era: syntheticEras['6.12'] })
    for (const [key, value] of kernel.lines) {
      if (key.includes('MAPCOUNT')) kernel.lines.set(key, String(BigInt.asUintN(32, BigInt(value))))
    }
    kernel.mark(8, { use: 'offline' })
    kernel.mark(16, { use: 'free', order: 3 })
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    const codes = new Uint8Array(24)
    linux.classify({ start: 0, count: 24 }, codes)
    expect([8, 16, 23].map((pfn) => guestClasses[codes[pfn] as number])).toEqual(['offline', 'free', 'free'])
  })
})

test('a terabyte is opened and classified in windows without a terabyte of anything', async () => {
  const frames = 2 ** 28
  const { guest, kernel } = makeSyntheticGuest({
    extents: [
      { start: 0, count: 0xc_0000 },
      { start: 0x10_0000, count: frames - 0xc_0000 },
    ],
    architecture: syntheticX86({ fiveLevel: true }),
    aliasSections: 4,
    pages: (pfn) => (pfn % 2048 < 1024 ? { use: 'free', order: 10, index: pfn % 1024 } : { use: 'anon' }),
  })
  const linux = await openLinuxGuest(guest, { elfNotes: kernel.note, search: false })
  const codes = new Uint8Array(32_768)
  // Not those that have the struct pages of the kernel's own section.
  for (const start of [0x10_8000, 2 ** 27 + 0x8000, frames - 0x8000]) {
    linux.classify({ start, count: codes.length }, codes)
    expect([codes.filter((code) => guestClasses[code] === 'free').length, guestClasses[codes[1024] as number]]).toEqual(
      [16_384, 'user'],
    )
  }
})
