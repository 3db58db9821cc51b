import { describe, expect, test } from 'vitest'
import { classesAt, eraNumber, SECTION } from '../test/classes-at.ts'
import { syntheticGuest } from '../test/synthetic-guest.ts'
import { guestClasses } from './guest-class.ts'
import { openLinuxGuest } from './linux-guest.ts'

describe('sections', () => {
  test('absent, without a map or not online have no struct pages', async () => {
    const { guest, kernel } = syntheticGuest({ extents: [{ start: 0, count: 4 * SECTION }] })
    for (const [section, flags] of [
      [1, 0n],
      [2, 0x9n],
      [3, 0xbn],
    ] as const) {
      guest.writeU64(kernel.sectionAt(section), flags === 0n ? 0n : kernel.mapBase | flags)
    }
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    const codes = new Uint8Array(4 * SECTION)
    linux.classify({ start: 0, count: codes.length }, codes)
    const names = [0, 1, 2, 3].map((section) => guestClasses[codes[section * SECTION + 9] as number])
    expect(names).toEqual(['inUse', 'noStructPage', 'noStructPage', 'noStructPage'])
  })

  test('of a kernel without the online bit are online when they have a map', async () => {
    const { guest, kernel } = syntheticGuest()
    for (const section of [0, 1]) guest.writeU64(kernel.sectionAt(section), kernel.mapBase | 3n)
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    expect(classesAt(linux, [1, SECTION])).toEqual(['inUse', 'inUse'])
  })

  test('are read anew at every call', async () => {
    const { guest, kernel } = syntheticGuest()
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    expect(classesAt(linux, [SECTION])).toEqual(['inUse'])
    guest.writeU64(kernel.sectionAt(1), 0n)
    expect(classesAt(linux, [SECTION])).toEqual(['noStructPage'])
  })

  test('frames far beyond any section have no struct page', async () => {
    const { guest, kernel } = syntheticGuest()
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    const codes = new Uint8Array(2)
    linux.classify({ start: 2 ** 40, count: 2 }, codes)
    expect([...codes].map((code) => guestClasses[code])).toEqual(['noStructPage', 'noStructPage'])
  })
})

describe('a huge page larger than a section', () => {
  test.each([
    ['a pointer to its head', '6.12', (address: bigint): bigint => address | 1n],
    // A mask of as many address bits as the struct pages of 2^16 frames take.
    ['a mask', '7.2', (): bigint => (~0n << 22n) | 1n],
    ['a pointer to nowhere', '6.12', (): bigint => 0xdead_0000_0000_0001n],
    ['a pointer to a page that is no head', '6.12', (address: bigint): bigint => (address + 64n) | 1n],
  ] as const)('its tails hold %s', async (what, era, info) => {
    const { guest, kernel } = syntheticGuest({ era })
    // Before its text has these struct pages, too.
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    const hugetlb = eraNumber(era, 'PAGE_HUGETLB_MAPCOUNT_VALUE')
    const head = 0
    kernel.setPage(head, { flags: BigInt(eraNumber(era, 'PG_head_mask')), mapcount: hugetlb })
    for (let pfn = 1; pfn < SECTION + 100; pfn++) {
      // The second struct page has the order.
      kernel.setPage(pfn, { compoundHead: info(kernel.pageAddress(head)), flags: pfn === 1 ? 16n : 0n })
    }
    const found = /nowhere|no head/.test(what) ? 'inUse' : 'user'
    const pfns = [0, 1, SECTION - 1, SECTION, SECTION + 99, SECTION + 100]
    expect(classesAt(linux, pfns)).toEqual(['user', 'user', 'user', found, found, 'inUse'])
    // A window that starts among its tails.
    const codes = new Uint8Array(2)
    linux.classify({ start: SECTION + 98, count: 2 }, codes)
    expect([...codes].map((code) => guestClasses[code])).toEqual([found, found])
  })
})

describe('what the host does not back', () => {
  test('struct pages there leave their frames unknown and no others', async () => {
    const { guest, kernel } = syntheticGuest({ fiveLevel: true })
    // Struct pages of frames 640 to 703.
    guest.unbacked.add(kernel.structPagesPfn(0) + 10)
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    expect(classesAt(linux, [639, 640, 703, 704])).toEqual(['inUse', 'unknown', 'unknown', 'inUse'])
  })

  test('struct pages that lie there in part have no class either', async () => {
    const { guest, kernel } = syntheticGuest({ smallPages: true, pageBytes: 72 })
    const offline = eraNumber('6.12', 'PAGE_OFFLINE_MAPCOUNT_VALUE')
    for (let pfn = 560; pfn < 640; pfn++) kernel.setPage(pfn, { mapcount: offline })
    // Bytes 40960 to 45055: the end of frame 568's struct page to the beginning of frame 625's.
    guest.unbacked.add(kernel.structPagesPfn(0) + 10)
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    const around = [567, 568, 569, 624, 625, 626]
    expect(classesAt(linux, around)).toEqual(['offline', 'unknown', 'unknown', 'unknown', 'unknown', 'offline'])
  })

  test('a free block is unknown where its struct pages are, and free around', async () => {
    const { guest, kernel } = syntheticGuest()
    const buddy = eraNumber('6.12', 'PAGE_BUDDY_MAPCOUNT_VALUE')
    for (let pfn = 512; pfn < 1024; pfn++) kernel.setPage(pfn, { refcount: 0 })
    kernel.setPage(512, { refcount: 0, mapcount: buddy, private: 9n })
    guest.unbacked.add(kernel.structPagesPfn(0) + 10)
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    expect(classesAt(linux, [511, 512, 639, 640, 703, 704, 1023, 1024])).toEqual([
      'inUse',
      'free',
      'free',
      'unknown',
      'unknown',
      'free',
      'free',
      'inUse',
    ])
  })

  test('a mem_section page there leaves its sections unknown', async () => {
    const { guest, kernel } = syntheticGuest({ extents: [{ start: 0, count: 300 * SECTION }] })
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    // The second page of roots' structures, for section 256 and after.
    const pointer = kernel.memSectionPfn * 4096 + 8
    guest.writeU64(pointer, guest.readU64(kernel.memSectionPfn * 4096) + 4096n)
    guest.unbacked.add(kernel.memSectionPfn + 402)
    const codes = new Uint8Array(2)
    linux.classify({ start: 256 * SECTION - 1, count: 2 }, codes)
    expect([...codes].map((code) => guestClasses[code])).toEqual(['inUse', 'unknown'])
  })

  test('kernel text there is no reason to refuse, page tables there are', async () => {
    const { guest, kernel } = syntheticGuest()
    guest.unbacked.add(kernel.textPfn)
    await expect(openLinuxGuest(guest, { elfNotes: kernel.note })).resolves.toMatchObject({ vmcoreinfoFrom: 'note' })
    guest.unbacked.add(kernel.rootPfn)
    await expect(openLinuxGuest(guest, { elfNotes: kernel.note })).rejects.toMatchObject({
      code: 'NO_VALID_VMCOREINFO',
      message: expect.stringContaining('unreadable'),
    })
  })
})
