import { endOf, PfnSet } from '@ullage/pages'
import { describe, expect, test } from 'vitest'
import { classesAt, eraNumber } from '../test/classes-at.ts'
import { syntheticGuest } from '../test/synthetic-guest.ts'
import { openLinuxGuest } from './linux-guest.ts'
import { runsInRam } from './protected-frames.ts'

test('protected frames hold image, tables, mem_section, struct pages and VMCOREINFO, but nothing freed', async () => {
  const { guest, kernel } = syntheticGuest({ fiveLevel: true })
  const buddy = eraNumber('6.12', 'PAGE_BUDDY_MAPCOUNT_VALUE')
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

test('scattered over all of memory they are kept with what lies between them', () => {
  const count = 3 * 2 ** 16
  const scattered = new PfnSet()
  for (let i = 0; i < count; i++) scattered.add({ start: 2 * i, count: 1 })
  const extents = [
    { start: 0, count: 100 },
    { start: 100, count: 2 * count },
  ]
  const runs = runsInRam(scattered, extents)
  expect(runs).toEqual([{ start: 0, count: 2 * count - 1 }])
  // Apart they are left as they are.
  expect(runsInRam(scattered, extents.slice(0, 1))).toHaveLength(50)
})

describe('a frame of the image that looks like page cache or like memory of a process', () => {
  // PG_reserved of kernels with these lines.
  const reserved = 1n << 13n
  const lru = BigInt(1 << eraNumber('6.12', 'PG_lru'))

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
    expect(await protectedOf(reserved | 2n)).toEqual([true, true, true, true])
  })
})
