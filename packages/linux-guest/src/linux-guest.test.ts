import { encodeElfNote } from '@ullage/layout'
import { endOf } from '@ullage/pages'
import { describe, expect, test } from 'vitest'
import { ERA_LINES, type EraLines, SyntheticGuest, SyntheticKernel, syntheticGuest } from '../test/synthetic-guest.ts'
import { type GuestClass, guestClasses } from './guest-class.ts'
import { type LinuxGuest, openLinuxGuest } from './linux-guest.ts'

const SECTION = 32_768
const MIB = 1 << 20
const eras: readonly EraLines[] = ['5.10', '6.6', '6.12', '7.2']

/** Classes of frames in the first section and after, one word each. */
function classesAt(guest: LinuxGuest, pfns: readonly number[]): GuestClass[] {
  const codes = new Uint8Array(2 * SECTION)
  guest.classify({ start: 0, count: 2 * SECTION }, codes)
  return pfns.map((pfn) => guestClasses[codes[pfn] as number] as GuestClass)
}

const number = (era: EraLines, name: string): number => {
  const value = new Map(Object.entries(ERA_LINES[era])).get(`NUMBER(${name})`)
  if (value === undefined) throw new Error(`${era} has no ${name}`)
  return Number(value)
}

describe('finds and reads a kernel', () => {
  const shapes = eras.flatMap((era) =>
    [false, true].flatMap((fiveLevel) =>
      (['extreme', 'flat', 'pointer'] as const).map((memSection) => ({ era, fiveLevel, memSection })),
    ),
  )
  test.each(shapes)('$era, five-level $fiveLevel, mem_section $memSection', async (shape) => {
    const { guest, kernel } = syntheticGuest({
      ...shape,
      // Both signs of phys_base.
      virtualOffset: shape.fiveLevel ? 900 * MIB : 0,
      physicalOffset: shape.fiveLevel ? 0 : 8 * MIB,
      smallPages: shape.memSection === 'pointer',
    })
    const offline = number(shape.era, 'PAGE_OFFLINE_MAPCOUNT_VALUE')
    for (const pfn of [0, 5000, SECTION - 1, SECTION, 2 * SECTION - 1]) kernel.setPage(pfn, { mapcount: offline })
    const byNote = await openLinuxGuest(guest, { elfNotes: kernel.note })
    const byScan = await openLinuxGuest(guest)
    for (const linux of [byNote, byScan]) {
      expect(linux).toMatchObject({ kernel: '6.12.0-synthetic', offlineTold: true, warnings: [], pageBytes: 4096 })
      expect(linux.uts).toMatchObject({ nodename: 'host', machine: 'x86_64' })
      expect(linux.physBase < 0n).toBe(shape.fiveLevel)
      const pfns = [0, 1, 5000, SECTION - 1, SECTION, SECTION + 1, 2 * SECTION - 1]
      expect(classesAt(linux, pfns)).toEqual(['offline', 'inUse', 'offline', 'offline', 'offline', 'inUse', 'offline'])
    }
    expect([byNote.vmcoreinfoFrom, byScan.vmcoreinfoFrom]).toEqual(['note', 'scan'])
  })

  test('a kernel that exports no offline value tells nothing of it', async () => {
    const { guest, kernel } = syntheticGuest()
    kernel.lines.delete('NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)')
    kernel.setPage(77, { mapcount: -251_658_240 })
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    expect(linux.offlineTold).toBe(false)
    expect(classesAt(linux, [77])).toEqual(['inUse'])
  })

  test.each([false, true])('a kernel that does not export its sparse constants, five-level %s', async (fiveLevel) => {
    const { guest, kernel } = syntheticGuest({ fiveLevel })
    kernel.lines.delete('NUMBER(SECTION_SIZE_BITS)')
    kernel.lines.delete('NUMBER(MAX_PHYSMEM_BITS)')
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    expect(linux.sectionFrames).toBe(SECTION)
    expect(classesAt(linux, [0, SECTION])).toEqual(['inUse', 'inUse'])
  })

  test('a given text is tried before the notes', async () => {
    const { guest, kernel } = syntheticGuest()
    const wrong = encodeElfNote('VMCOREINFO', 0, new TextEncoder().encode('OSRELEASE=wrong\n'))
    const linux = await openLinuxGuest(guest, { vmcoreinfo: kernel.vmcoreinfo, elfNotes: wrong })
    expect(linux).toMatchObject({ vmcoreinfoFrom: 'note', warnings: [] })
  })
})

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
    const hugetlb = number(era, 'PAGE_HUGETLB_MAPCOUNT_VALUE')
    const head = 0
    kernel.setPage(head, { flags: BigInt(number(era, 'PG_head_mask')), mapcount: hugetlb })
    for (let pfn = 1; pfn < SECTION + 100; pfn++) {
      kernel.setPage(pfn, { compoundHead: info(kernel.pageAddress(head)) })
    }
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
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
    const offline = number('6.12', 'PAGE_OFFLINE_MAPCOUNT_VALUE')
    for (let pfn = 560; pfn < 640; pfn++) kernel.setPage(pfn, { mapcount: offline })
    // Bytes 40960 to 45055: the end of frame 568's struct page to the beginning of frame 625's.
    guest.unbacked.add(kernel.structPagesPfn(0) + 10)
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    const around = [567, 568, 569, 624, 625, 626]
    expect(classesAt(linux, around)).toEqual(['offline', 'unknown', 'unknown', 'unknown', 'unknown', 'offline'])
  })

  test('a free block is unknown where its struct pages are, and free around', async () => {
    const { guest, kernel } = syntheticGuest()
    const buddy = number('6.12', 'PAGE_BUDDY_MAPCOUNT_VALUE')
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

describe('several candidates', () => {
  test('text that memory does not bear out is refused, each with its reason', async () => {
    const { guest, kernel } = syntheticGuest()
    const spoil = (key: string, value: string): string =>
      kernel.vmcoreinfo.replace(new RegExp(`^${key.replace(/[()]/g, '\\$&')}=.*$`, 'm'), `${key}=${value}`)
    const wrong: readonly [string, string, string][] = [
      ['OSRELEASE', '9.9.9', 'init_uts_ns names release "6.12.0-synthetic", OSRELEASE is "9.9.9"'],
      ['PAGESIZE', '65536', 'its pages have 65536 bytes'],
      ['NUMBER(phys_base)', '2097152', '_stext'],
      ['NUMBER(phys_base)', '-99999999999', 'is not in the kernel image'],
      ['NUMBER(phys_base)', '1073741824', 'which is not guest RAM'],
      ['NUMBER(pgtable_l5_enabled)', '1', '_stext'],
      ['SYMBOL(mem_section)', 'ffffffff81000000', 'mem_section at 0xffffffff81000000 has no online section'],
      ['LENGTH(mem_section)', '7', 'LENGTH(mem_section) is 7'],
      ['NUMBER(SECTION_SIZE_BITS)', '13', 'no kernel'],
      ['SIZE(page)', '4096', 'SIZE(page) is 4096'],
      ['OFFSET(page._mapcount)', '61', 'OFFSET(page._mapcount) is 61'],
      ['NUMBER(PG_lru)', '64', 'NUMBER(PG_lru) is 64'],
      ['LENGTH(zone.free_area)', '4000000000', 'LENGTH(zone.free_area) is 4000000000'],
    ]
    // A page that only looks like VMCOREINFO is not in the way of the real one.
    for (const [index, [key, value]] of wrong.entries()) {
      guest.frame(index + 1).set(new TextEncoder().encode(spoil(key, value)))
    }
    await expect(openLinuxGuest(guest)).resolves.toMatchObject({ vmcoreinfoFrom: 'scan' })

    guest.frame(kernel.vmcoreinfoPfn).fill(0)
    for (const [key, value, reason] of wrong) {
      for (let index = 0; index < wrong.length; index++) guest.frame(index + 1).fill(0)
      guest.frame(1).set(new TextEncoder().encode(spoil(key, value)))
      await expect(openLinuxGuest(guest)).rejects.toMatchObject({
        code: 'NO_VALID_VMCOREINFO',
        message: expect.stringContaining(reason),
      })
    }
  })

  test('the kernel that a vCPU runs comes before one that ran before and knew more memory', async () => {
    const guest = new SyntheticGuest([{ start: 0, count: 4 * SECTION }])
    const before = new SyntheticKernel(guest, { release: '6.12.0-before' })
    const running = new SyntheticKernel(guest, { release: '6.12.0-running', at: 2 * SECTION })
    guest.writeU64(running.sectionAt(3), 0n)
    const found = await openLinuxGuest(guest)
    expect(found.kernel).toBe('6.12.0-before')
    const confirmed = await openLinuxGuest(guest, { elfNotes: qemuNote(running.rootPfn) })
    expect(confirmed).toMatchObject({ kernel: '6.12.0-running', warnings: [] })
    // In user mode with page table isolation: the second of two tables, which has no kernel text.
    const user = await openLinuxGuest(guest, { elfNotes: qemuNote(running.rootPfn + 1) })
    expect(user.kernel).toBe('6.12.0-running')
    const odd = await openLinuxGuest(guest, { elfNotes: concat(before.note, qemuNote(running.rootPfn)) })
    expect(odd).toMatchObject({ kernel: '6.12.0-running', vmcoreinfoFrom: 'scan' })
    expect(odd.warnings).toMatchObject([
      { code: 'VMCOREINFO_REFUSED', text: expect.stringContaining('no vCPU runs on the page tables of its kernel') },
    ])
    // A vCPU in firmware and one that does not page are not in the way of a third.
    const mixed = concat(qemuNote(5), qemuNote(0), qemuNote(running.rootPfn))
    await expect(openLinuxGuest(guest, { elfNotes: mixed })).resolves.toMatchObject({ kernel: '6.12.0-running' })
  })

  describe('of a kernel that no vCPU runs', () => {
    const message = expect.stringMatching(/memory holds the kernel 6\.12\.0-synthetic .*is rebooting/)
    const refusal = { code: 'KERNEL_NOT_RUNNING', message }

    test('are refused, from the notes and from memory', async () => {
      const { guest, kernel } = syntheticGuest()
      const notes = concat(kernel.note, qemuNote(5))
      await expect(openLinuxGuest(guest, { elfNotes: notes })).rejects.toMatchObject(refusal)
      await expect(openLinuxGuest(guest, { elfNotes: qemuNote(5) })).rejects.toMatchObject(refusal)
      await expect(
        openLinuxGuest(guest, { vmcoreinfo: kernel.vmcoreinfo, elfNotes: qemuNote(5) }),
      ).rejects.toMatchObject(refusal)
    })

    test('are refused when no vCPU pages', async () => {
      const { guest, kernel } = syntheticGuest()
      const notes = concat(kernel.note, qemuNote(0))
      await expect(openLinuxGuest(guest, { elfNotes: notes })).rejects.toMatchObject(refusal)
    })

    test('are refused without notes of vCPUs only where those are expected', async () => {
      const { guest, kernel } = syntheticGuest()
      await expect(openLinuxGuest(guest, { elfNotes: kernel.note })).resolves.toMatchObject({ warnings: [] })
      await expect(openLinuxGuest(guest, { elfNotes: kernel.note, expectVcpus: true })).rejects.toMatchObject(refusal)
      await expect(openLinuxGuest(guest, { expectVcpus: true })).rejects.toMatchObject({ code: 'KERNEL_NOT_RUNNING' })
      const notes = concat(kernel.note, qemuNote(kernel.rootPfn))
      await expect(openLinuxGuest(guest, { elfNotes: notes, expectVcpus: true })).resolves.toMatchObject({
        warnings: [],
      })
    })
  })

  test('without any there is an error that says so', async () => {
    await expect(openLinuxGuest(new SyntheticGuest())).rejects.toMatchObject({ code: 'NO_VMCOREINFO' })
  })

  test('pages that a process filled do not hide the real one', async () => {
    const guest = new SyntheticGuest([{ start: 0, count: 4 * SECTION }])
    const kernel = new SyntheticKernel(guest, { at: 2 * SECTION })
    const encoder = new TextEncoder()
    // A guess at all lines, with addresses that a process is not told.
    const guess = kernel.vmcoreinfo.replace(/^SYMBOL\(_stext\)=.*$/m, 'SYMBOL(_stext)=ffffffff80200000')
    const copy = encoder.encode(kernel.vmcoreinfo)
    for (let pfn = 0; pfn < 50_000; pfn++) {
      if (pfn % 5 === 0) guest.frame(pfn).set(encoder.encode(`${guess}CRASHTIME=${pfn}\n`))
      else if (pfn % 5 === 1) guest.frame(pfn).set(encoder.encode(guess))
      else guest.frame(pfn).set(encoder.encode(`OSRELEASE=${pfn}\n`))
    }
    expect(kernel.vmcoreinfoPfn).toBeGreaterThan(50_000)
    await expect(openLinuxGuest(guest)).resolves.toMatchObject({ warnings: [], vmcoreinfoFrom: 'scan' })
    guest.frame(kernel.vmcoreinfoPfn).fill(0)
    await expect(openLinuxGuest(guest)).rejects.toMatchObject({
      code: 'NO_VALID_VMCOREINFO',
      message: expect.stringMatching(/^expected .{1,4000}; and 39993 more$/),
    })
    // Copies of the real one are that kernel's all the same.
    for (let pfn = 0; pfn < 1000; pfn++) guest.frame(pfn).fill(0)
    for (let pfn = 0; pfn < 1000; pfn++) guest.frame(pfn).set(copy)
    await expect(openLinuxGuest(guest)).resolves.toMatchObject({ warnings: [], kernel: '6.12.0-synthetic' })
  })

  test('a memory full of texts that know where the kernel is ends the search with a warning', async () => {
    const { guest, kernel } = syntheticGuest()
    const forged = kernel.vmcoreinfo.replace(/^LENGTH\(mem_section\)=.*$/m, 'LENGTH(mem_section)=7')
    for (let pfn = 1; pfn < 4096; pfn++) {
      guest.frame(pfn).set(new TextEncoder().encode(`${forged}CRASHTIME=${pfn}\n`))
    }
    await expect(openLinuxGuest(guest)).resolves.toMatchObject({ warnings: [] })
    guest.frame(5000).set(new TextEncoder().encode(forged))
    await expect(openLinuxGuest(guest)).rejects.toMatchObject({ message: expect.stringContaining('found 4096 that') })
    await expect(openLinuxGuest(guest, { elfNotes: kernel.note })).resolves.toMatchObject({ vmcoreinfoFrom: 'note' })
  })

  test('broken notes do not hide the page in memory', async () => {
    const { guest, kernel } = syntheticGuest()
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note.subarray(0, 400) })
    expect(linux.vmcoreinfoFrom).toBe('scan')
    expect(linux.warnings[0]).toMatchObject({ code: 'VMCOREINFO_REFUSED' })
  })

  test('an aborted search throws the reason', async () => {
    const { guest } = syntheticGuest()
    await expect(openLinuxGuest(guest, { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow('stop')
  })

  test('another architecture is said to be unsupported', async () => {
    const { guest, kernel } = syntheticGuest()
    const view = { ...bound(guest), machine: 'aarch64' as const }
    await expect(openLinuxGuest(view, { elfNotes: kernel.note })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })
})

test('idle frames are those nobody holds, whatever piece of memory is asked about', async () => {
  const { guest, kernel } = syntheticGuest()
  const buddy = number('6.12', 'PAGE_BUDDY_MAPCOUNT_VALUE')
  for (const pfn of [10, 63, 64, SECTION - 1, SECTION]) kernel.setPage(pfn, { refcount: 0 })
  kernel.setPage(11, { refcount: 0, mapcount: buddy, private: 0n })
  kernel.setPage(12, { refcount: 0, compoundHead: 1n })
  kernel.setPage(13, { refcount: 0, mapcount: 3 })
  const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
  expect(linux.countIdle({ start: 0, count: 2 * SECTION })).toBe(5)
  expect(linux.countIdle({ start: 11, count: 53 })).toBe(1)
  expect(linux.countIdle({ start: SECTION - 1, count: 1 })).toBe(1)
  expect(linux.countIdle({ start: 0, count: 10 })).toBe(0)
  expect(linux.countIdle({ start: 2 ** 40, count: 5 })).toBe(0)
})

test('protected frames hold image, tables, mem_section, struct pages and VMCOREINFO, but nothing freed', async () => {
  const { guest, kernel } = syntheticGuest({ fiveLevel: true })
  const buddy = number('6.12', 'PAGE_BUDDY_MAPCOUNT_VALUE')
  const freed = kernel.textPfn + 64
  for (let pfn = freed; pfn < freed + 64; pfn++) kernel.setPage(pfn, { refcount: 0 })
  kernel.setPage(freed, { refcount: 0, mapcount: buddy, private: 6n })
  const linux = await openLinuxGuest(guest)
  const ranges = linux.protectedFrames()
  const isProtected = (pfn: number): boolean => ranges.some((range) => pfn >= range.start && pfn < endOf(range))
  const wanted = [
    kernel.textPfn,
    kernel.textPfn + 511,
    kernel.rootPfn,
    kernel.memSectionPfn,
    kernel.memSectionPfn + 401,
    kernel.structPagesPfn(0),
    kernel.structPagesPfn(1) + 511,
    kernel.vmcoreinfoPfn,
    12_288,
  ]
  expect(wanted.filter((pfn) => !isProtected(pfn))).toEqual([])
  const others = [0, freed, freed + 63, kernel.textPfn + 512, kernel.structPagesPfn(1) + 512]
  expect(others.filter((pfn) => isProtected(pfn))).toEqual([])
  expect(ranges).toEqual([...ranges].sort((a, b) => a.start - b.start))
})

describe('a frame of the image that looks like page cache or like memory of a process', () => {
  // PG_reserved of kernels with these lines.
  const reserved = 1n << 13n
  const lru = BigInt(1 << number('6.12', 'PG_lru'))

  async function protectedOf(mark: bigint): Promise<boolean[]> {
    const { guest, kernel } = syntheticGuest({ smallPages: true })
    // Above the flags: what the kernel packs there is alike on all frames that were not used since boot.
    const packed = 0xfffff_c0000000n
    for (let i = 0; i < 512; i++) kernel.setPage(kernel.textPfn + i, { flags: packed | mark })
    const [bss, cache, anon, locked] = [100, 200, 201, 202].map((i) => kernel.textPfn + i) as [
      number,
      number,
      number,
      number,
    ]
    kernel.setPage(bss, { flags: packed | mark | lru, mapping: 0xffff_8880_0123_4560n })
    kernel.setPage(cache, { flags: packed | lru, mapping: 0xffff_8880_0123_4560n })
    kernel.setPage(anon, { flags: lru, mapping: 0xffff_8880_0123_4561n })
    kernel.setPage(locked, { flags: 1n })
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    expect(classesAt(linux, [bss, cache, anon, locked])).toEqual(['cache', 'cache', 'user', 'inUse'])
    const ranges = linux.protectedFrames()
    return [bss, cache, anon, locked].map((pfn) =>
      ranges.some(({ start, count }) => pfn >= start && pfn < start + count),
    )
  }

  test('stays unless the kernel took its mark away', async () => {
    expect(await protectedOf(reserved)).toEqual([true, false, false, true])
  })

  test('stays where the mark cannot be told', async () => {
    expect(await protectedOf(0n)).toEqual([true, true, true, true])
    expect(await protectedOf(reserved | 2n)).toEqual([true, true, true, true])
  })
})

function bound(guest: SyntheticGuest): Pick<SyntheticGuest, 'frameBytes' | 'extents' | 'tryRead' | 'toPfn'> {
  return {
    frameBytes: guest.frameBytes,
    extents: guest.extents,
    tryRead: (range, into) => guest.tryRead(range, into),
    toPfn: (gfn) => guest.toPfn(gfn),
  }
}

/** The note QEMU writes of a vCPU whose CR3 is the address of `pfn`. */
function qemuNote(pfn: number): Uint8Array {
  const desc = new Uint8Array(440)
  const view = new DataView(desc.buffer)
  view.setUint32(0, 1, true)
  view.setUint32(4, 440, true)
  view.setBigUint64(416, BigInt(pfn * 4096), true)
  return encodeElfNote('QEMU', 0, desc)
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}
