import { makeSyntheticGuest, syntheticArm, syntheticEras, syntheticX86 } from '@ullage/lab'
import { expect, test } from 'vitest'
import { openLinuxGuest } from '../src/index.ts'

const cases = [
  ['5.10', syntheticX86()],
  ['6.12', syntheticX86({ fiveLevel: true })],
  ['7.2', syntheticArm()],
] as const

test.each(cases)(
  '%s: memory set aside at boot and given to nobody is idle, the kernel itself is not',
  async (era, architecture) => {
    const { guest, kernel } = makeSyntheticGuest({ era: syntheticEras[era], architecture })
    const start = (guest.extents[0]?.start ?? 0) + 8192
    const area = { start, count: 4096 }
    for (let pfn = area.start; pfn < area.start + area.count; pfn++) kernel.mark(pfn, { use: 'reserved' })
    // A driver holds one, and one is mapped.
    kernel.mark(area.start + 1, { use: 'reserved', refcount: 2 })
    kernel.mark(area.start + 2, { use: 'reserved', fields: { mapping: 0xffff_8880_0123_4560n } })
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    expect(linux.countIdle(area)).toBe(area.count - 2)
    expect(linux.countIdle({ start: area.start - 100, count: 200 })).toBe(98)
    expect(linux.countIdle(kernel.image)).toBe(0)
  },
)

test('where the mark cannot be told none of it is', async () => {
  const { guest, kernel } = makeSyntheticGuest({ pages: () => ({ use: 'reserved' }) })
  // Beyond its text frames of the image bear no mark.
  for (let i = 64; i < kernel.image.count; i++) kernel.mark(kernel.image.start + i, { use: 'inUse' })
  const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
  expect(linux.countIdle({ start: kernel.image.start + kernel.image.count + 4096, count: 512 })).toBe(0)
})
