import { encodeElfNote } from '@ullage/layout'
import { describe, expect, test } from 'vitest'
import { classesAt, eraNumber, SECTION } from '../test/classes-at.ts'
import type { EraLines } from '../test/era-lines.ts'
import { syntheticGuest } from '../test/synthetic-guest.ts'
import { openLinuxGuest } from './linux-guest.ts'

const MIB = 1 << 20
const eras: readonly EraLines[] = ['5.10', '6.6', '6.12', '7.2']

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
    const offline = eraNumber(shape.era, 'PAGE_OFFLINE_MAPCOUNT_VALUE')
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

test('idle frames are those nobody holds, whatever piece of memory is asked about', async () => {
  const { guest, kernel } = syntheticGuest()
  const buddy = eraNumber('6.12', 'PAGE_BUDDY_MAPCOUNT_VALUE')
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
