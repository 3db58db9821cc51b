import { makeSyntheticGuest, type SectionState, syntheticEras, type SyntheticPage } from '@ullage/lab'
import { describe, expect, test } from 'vitest'
import { type GuestClass, guestClasses, type LinuxGuest, openLinuxGuest } from '../src/index.ts'

const SECTION = 32_768
/** First frame of the section that each driver's pages are put in. */
const AT = SECTION
/** mapping of a page that its driver can move (Linux mm/balloon_compaction.c; PAGE_MAPPING_MOVABLE is 2). */
const MOVABLE_MAPPING = 0xffff_8880_0456_7892n
const RESERVED = 1n << 13n
const DIRTY = 1n << 4n

function classesOf(linux: LinuxGuest, start: number, count: number): GuestClass[] {
  const codes = new Uint8Array(count)
  linux.classify({ start, count }, codes)
  return [...codes].map((code) => guestClasses[code] as GuestClass)
}

const kinds = (classes: readonly GuestClass[]): GuestClass[] => [...new Set(classes)]

interface Row {
  readonly who: string
  readonly state: SectionState
  page(index: number): SyntheticPage
  readonly found: readonly GuestClass[]
}

/** The table of docs/who-marks-offline.md, row by row: 1024 frames that each of them leaves, and what they are. */
const rows: readonly Row[] = [
  {
    who: 'virtio-balloon, VMware 4 KiB, pseries CMM: the balloon core',
    state: 'online',
    page: () => ({
      use: 'offline',
      private: true,
      fields: { mapping: MOVABLE_MAPPING, private: 0xffff_8880_0000_1000n },
    }),
    found: ['offline'],
  },
  {
    who: 'VMware 2 MiB: blocks that are not compound, their first page alone has a reference',
    state: 'online',
    page: (index) => ({ use: 'offline', refcount: index % 512 === 0 ? 1 : 0 }),
    found: ['offline'],
  },
  {
    who: 'Xen balloon',
    state: 'online',
    page: () => ({ use: 'offline', fields: { private: 0x7fff_ffffn } }),
    found: ['offline'],
  },
  {
    who: 'Xen, memory of a device range that has no frames behind it',
    state: 'device',
    page: () => ({ use: 'offline' }),
    found: ['noStructPage'],
  },
  {
    who: 'hv_balloon, inflated: blocks taken apart',
    state: 'online',
    page: () => ({ use: 'offline' }),
    found: ['offline'],
  },
  {
    who: 'hv_balloon, hot-added and not backed, before 6.11',
    state: 'hotAdded',
    page: (index) => (index < 512 ? { use: 'inUse' } : { use: 'offline', fields: { flags: RESERVED } }),
    found: ['inUse', 'offline'],
  },
  {
    who: 'virtio-mem, unplugged part of an online block',
    state: 'hotAdded',
    page: (index) => (index < 512 ? { use: 'anon' } : { use: 'offline', fields: { flags: DIRTY } }),
    found: ['user', 'offline'],
  },
  {
    who: 'virtio-mem, a block that is going offline: references dropped',
    state: 'hotAdded',
    page: (index) =>
      index < 512 ? { use: 'free', order: 9, index } : { use: 'offline', refcount: 0, fields: { flags: DIRTY } },
    found: ['free', 'offline'],
  },
  {
    who: 'memory hotplug, added and not onlined: struct pages never initialised',
    state: 'offline',
    page: () => ({ use: 'uninitialised' }),
    found: ['noStructPage'],
  },
  {
    who: 'memory hotplug, added and not onlined: struct pages from when it was online before',
    state: 'offline',
    page: () => ({ use: 'anon' }),
    found: ['noStructPage'],
  },
  {
    who: 'memory hotplug since 6.11, being onlined: every page starts offline',
    state: 'hotAdded',
    page: (index) => (index < 512 ? { use: 'free', order: 9, index } : { use: 'offline' }),
    found: ['free', 'offline'],
  },
  {
    who: 'nobody: reported free pages, which their host may have taken (PG_reported, the bit of PG_uptodate)',
    state: 'online',
    page: (index) => ({
      use: 'free',
      order: 10,
      index,
      ...(index === 0 ? { fields: { flags: 8n } } : {}),
    }),
    found: ['free'],
  },
]

describe.each(['5.10', '6.6', '6.11', '6.12', '7.2'] as const)('%s', (era) => {
  test.each(rows.map((row) => [row.who, row] as const))('%s', async (_who, { state, page, found }) => {
    const { guest, kernel } = makeSyntheticGuest({
      era: syntheticEras[era],
      extents: [{ start: 0, count: 3 * SECTION }],
      sectionState: (section) => (section === 1 ? state : 'online'),
      pages: (pfn) => (pfn >= AT && pfn < AT + 1024 ? page(pfn - AT) : undefined),
    })
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    expect(kinds(classesOf(linux, AT, 1024))).toEqual(found)
    // The rest is untouched by it.
    const rest = state === 'online' || state === 'hotAdded' ? ['inUse'] : ['noStructPage']
    expect(kinds(classesOf(linux, AT + 1024, SECTION - 1024))).toEqual(rest)
    expect(kinds(classesOf(linux, 2 * SECTION, SECTION))).toEqual(['inUse'])
  })
})

describe('sections', () => {
  const isProtected = (linux: LinuxGuest, pfn: number): boolean =>
    linux.protectedFrames().some(({ start, count }) => pfn >= start && pfn < start + count)

  test('with their struct pages in their own first frames keep those, and they are in use', async () => {
    const { guest, kernel } = makeSyntheticGuest({
      extents: [{ start: 0, count: 3 * SECTION }],
      sectionState: (section) => (section === 0 ? 'online' : 'hotAdded'),
      isSelfHosted: (section) => section > 0,
      // PG_vmemmap_self_hosted is the bit of PG_owner_priv_1, and of PG_swapcache.
      pages: (pfn) =>
        pfn % SECTION < 512
          ? { use: 'inUse', fields: { flags: 1n << 10n } }
          : { use: 'free', order: 9, index: pfn % 512 },
    })
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    expect(kinds(classesOf(linux, SECTION, 512))).toEqual(['inUse'])
    expect(kinds(classesOf(linux, SECTION + 512, SECTION - 512))).toEqual(['free'])
    expect([SECTION, SECTION + 511, SECTION + 512, 2 * SECTION].map((pfn) => isProtected(linux, pfn))).toEqual([
      true,
      true,
      false,
      true,
    ])
  })

  test('of every state in one guest, of which the host backs half', async () => {
    const states: readonly SectionState[] = [
      'online',
      'absent',
      'withoutMap',
      'offline',
      'device',
      'hotAdded',
      'onlinePreinit',
      'online',
    ]
    const { guest, kernel } = makeSyntheticGuest({
      era: syntheticEras['7.2'],
      extents: [{ start: 0, count: states.length * SECTION }],
      sectionState: (section) => states[section] ?? 'absent',
      pages: (pfn) => (pfn >= 7 * SECTION ? { use: 'offline' } : { use: 'anon' }),
    })
    guest.unbacked.add({ start: 7 * SECTION + SECTION / 2, count: SECTION / 2 })
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    const found = states.map((_, section) => kinds(classesOf(linux, section * SECTION + 16_384, 16_384)))
    expect(found).toEqual([
      ['user'],
      ['noStructPage'],
      ['noStructPage'],
      ['noStructPage'],
      ['noStructPage'],
      ['user'],
      ['user'],
      ['offline'],
    ])
    expect(guest.forbidden).toEqual([])
  })

  test('that start with tails of a page that ended long before are not part of it', async () => {
    for (const era of ['5.10', '6.12', '7.2'] as const) {
      const { guest, kernel } = makeSyntheticGuest({ era: syntheticEras[era] })
      kernel.mark(512, { use: 'hugetlb', order: 9 })
      const stale = kernel.memMap.addressOf(512) | 1n
      for (let pfn = SECTION; pfn < SECTION + 8; pfn++)
        kernel.mark(pfn, { use: 'inUse', refcount: 0, fields: { head: stale } })
      for (let pfn = 1024; pfn < 1032; pfn++) kernel.mark(pfn, { use: 'inUse', refcount: 0, fields: { head: stale } })
      const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
      expect(kinds(classesOf(linux, 512, 512))).toEqual(['user'])
      expect(kinds(classesOf(linux, SECTION, 8))).toEqual(['inUse'])
      expect(kinds(classesOf(linux, 1024, 8))).toEqual(['inUse'])
    }
  })

  test('hold a page that is larger than any of them', async () => {
    for (const era of ['5.10', '6.6', '6.12', '7.2'] as const) {
      const { guest, kernel } = makeSyntheticGuest({
        era: syntheticEras[era],
        extents: [{ start: 0, count: 5 * SECTION }],
        pages: (pfn) =>
          pfn >= 2 * SECTION && pfn < 4 * SECTION ? { use: 'hugetlb', order: 16, index: pfn - 2 * SECTION } : undefined,
      })
      const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
      expect(kinds(classesOf(linux, 2 * SECTION, 2 * SECTION))).toEqual(['user'])
      expect(kinds(classesOf(linux, 4 * SECTION, 100))).toEqual(['inUse'])
      expect(classesOf(linux, 4 * SECTION - 1, 2)).toEqual(['user', 'inUse'])
    }
  })
})

test('one frame has the class that it has among others, wherever the window ends', async () => {
  for (const era of ['5.10', '6.6', '6.12'] as const) {
    const { guest, kernel } = makeSyntheticGuest({ era: syntheticEras[era] })
    kernel.mark(512, { use: 'hugetlb', order: 9 })
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    expect(classesOf(linux, 512, 1)).toEqual(['user'])
    expect(classesOf(linux, 1023, 1)).toEqual(['user'])
    expect(classesOf(linux, 511, 1)).toEqual(['inUse'])
  }
})
