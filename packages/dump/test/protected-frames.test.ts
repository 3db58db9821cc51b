import { makeSyntheticGuest, openSyntheticGuest, syntheticEras, type SyntheticUse, syntheticX86 } from '@ullage/lab'
import { endOf, PfnSet } from '@ullage/pages'
import { describe, expect, test } from 'vitest'
import { examineGuest } from '../src/examine-guest.ts'

const TEXT_FRAMES = 64

/** RAM: a section; all that the kernel does not place is page cache. */
async function planOf(use: SyntheticUse, level: number, era: keyof typeof syntheticEras) {
  const { guest, kernel } = makeSyntheticGuest({
    era: syntheticEras[era],
    architecture: syntheticX86({ fiveLevel: level % 2 === 0 }),
    blocks: level % 4 < 2,
    extents: [{ start: 0, count: 32_768 }],
    pages: () => ({ use: 'cache' }),
  })
  // As makedumpfile would see them: kernel data with PG_lru (its issue 21), struct pages and tables of a process.
  // Its text cannot: a kernel whose text looks so is not believed.
  const textEnd = kernel.image.start + TEXT_FRAMES
  for (const range of kernel.protectedFrames) {
    for (let pfn = range.start; pfn < endOf(range); pfn++) {
      if (pfn < kernel.image.start || pfn >= textEnd) kernel.mark(pfn, { use })
    }
  }
  await using open = openSyntheticGuest(guest, { elfNotes: kernel.note })
  const { plan, word } = await examineGuest(open, {
    level,
    trust: 'guest',
    elfNotes: new Uint8Array(),
    expectVcpus: false,
  })
  expect(word.linux?.kernel).toBe(syntheticEras[era].release)
  expect(guest.forbidden).toEqual([])
  return { plan, guarded: PfnSet.of(kernel.protectedFrames) }
}

const allLevels = Array.from({ length: 32 }, (_, level) => level)
const someLevels = [0, 1, 2, 4, 8, 16, 17, 31]

describe.each(['cache', 'anon', 'swapcache'] as const)('protected frames that look like %s', (use) => {
  test.each(['5.10', '6.12', '7.2'] as const)('are kept at every level by a kernel of %s', async (era) => {
    for (const level of use === 'cache' ? allLevels : someLevels) {
      const { plan, guarded } = await planOf(use, level, era)
      let kept = 0
      for (const range of guarded.allRuns()) kept += plan.write.countIn(range)
      expect([level, kept]).toEqual([level, guarded.size])
      // What is not protected follows the level.
      const leavesOutCache = (level & 6) !== 0
      expect([level, plan.write.size]).toEqual([level, leavesOutCache ? guarded.size : plan.total])
    }
  })
})

test('what the kernel freed of its image is not protected, nor what it gave to a balloon', async () => {
  const { guest, kernel } = makeSyntheticGuest({ pages: () => ({ use: 'anon' }) })
  const freed = kernel.image.start + 128
  kernel.mark(freed, { use: 'free', order: 6 })
  for (let pfn = freed + 64; pfn < freed + 128; pfn++) kernel.mark(pfn, { use: 'offline' })
  await using open = openSyntheticGuest(guest, { elfNotes: kernel.note })
  const options = { trust: 'guest', elfNotes: kernel.note, expectVcpus: false } as const
  for (const level of [0, 15, 16, 31]) {
    const { plan } = await examineGuest(open, { ...options, level })
    const keepsFree = (level & 16) === 0
    expect(plan.write.countIn({ start: freed, count: 64 })).toBe(keepsFree ? 64 : 0)
    expect(plan.write.countIn({ start: freed + 64, count: 64 })).toBe(0)
    expect(plan.write.countIn({ start: kernel.image.start, count: 128 })).toBe(128)
  }
})

test('protected frames that the host does not back raise the alarm and are not read', async () => {
  const { guest, kernel } = makeSyntheticGuest()
  const [memMap] = kernel.memMap.frames
  const lost = [kernel.image.start + 200, (memMap?.start ?? 0) + 17]
  for (const start of lost) guest.unbacked.add({ start, count: 1 })
  await using open = openSyntheticGuest(guest, { unbackedReads: 'nothing' })
  const examined = await examineGuest(open, { level: 31, trust: 'guest', elfNotes: kernel.note, expectVcpus: false })
  expect(examined.plan.protectedUnbacked).toBe(lost.length)
  expect(examined.disagreements.alarm).toBe(true)
  expect(lost.filter((pfn) => examined.plan.write.has(pfn))).toEqual([])
  // 64 struct pages lay in that frame.
  expect(examined.plan.counts.slice(0, 4).reduce((sum, count) => sum + count, 0)).toBe(64)
  expect(guest.forbidden).toEqual([])
})
