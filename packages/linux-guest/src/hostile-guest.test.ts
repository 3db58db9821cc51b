import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type SyntheticGuest, type SyntheticKernel, syntheticGuest } from '../test/synthetic-guest.ts'
import { guestClasses } from './guest-class.ts'
import { openLinuxGuest } from './linux-guest.ts'
import { LinuxGuestError } from './linux-guest-error.ts'

const FRAMES = 16_384
/** The scan reads all of memory once, everything else a few tables and struct pages, whatever the guest says. */
const MOST_FRAMES_READ = 4 * FRAMES

/** Opens and uses a guest that was tampered with. Any error but a LinuxGuestError fails the test. */
async function use(guest: SyntheticGuest, kernel: SyntheticKernel): Promise<void> {
  guest.framesRead = 0
  try {
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note })
    const codes = new Uint8Array(FRAMES)
    linux.classify({ start: 0, count: FRAMES }, codes)
    expect(codes.every((code) => code < guestClasses.length)).toBe(true)
    let end = -1
    for (const range of linux.protectedFrames()) {
      expect(range.start).toBeGreaterThan(end)
      end = range.start + range.count
      expect(end).toBeLessThanOrEqual(FRAMES)
    }
  } catch (error) {
    if (!(error instanceof LinuxGuestError)) throw error
    expect(error.message.length).toBeLessThan(10_000)
  }
  expect(guest.framesRead).toBeLessThan(MOST_FRAMES_READ)
}

const extents = [{ start: 0, count: FRAMES }]
const word = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  // Entries that point into memory and around its end, small or large, and values at the edges.
  fc
    .tuple(fc.nat(FRAMES + 2), fc.constantFrom(0x3n, 0x63n, 0x83n, 0x7n))
    .map(([pfn, flags]) => (BigInt(pfn) << 12n) | flags),
  fc.constantFrom(0n, 1n, (1n << 64n) - 1n, 1n << 63n, 0x7fff_ffff_ffff_ffffn),
)

test('any value or none in any line of VMCOREINFO is refused or does no harm', async () => {
  const keys = [...syntheticGuest({ extents, era: '7.2' }).kernel.lines.keys()]
  const value = fc.oneof(
    fc.constantFrom(undefined, '', '0', '1', '-1', '4294967296', '99999999999999999999', 'ffffffffffffffff', 'x'),
    fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }).map(String),
    fc.nat(5000).map(String),
    word.map((found) => found.toString(16)),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...keys), value), { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      async (changes, fiveLevel) => {
        const { guest, kernel } = syntheticGuest({ extents, era: '7.2', fiveLevel })
        for (const [key, text] of changes) {
          if (text === undefined) kernel.lines.delete(key)
          else kernel.lines.set(key, text)
        }
        kernel.publish()
        await use(guest, kernel)
      },
    ),
    { numRuns: 200 },
  )
})

test('any words in page tables, mem_section and struct pages are refused or do no harm', async () => {
  const places = fc.oneof(
    // The root table, the tables below it, mem_section, struct pages.
    fc.nat(511).map((entry) => ({ base: 'root' as const, offset: entry * 8 })),
    fc.nat(20 * 512 - 1).map((entry) => ({ base: 'tables' as const, offset: entry * 8 })),
    fc.nat(3).map((entry) => ({ base: 'sections' as const, offset: entry * 8 })),
    fc.nat(512 * 512 - 1).map((entry) => ({ base: 'pages' as const, offset: entry * 8 })),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(places, word), { minLength: 1, maxLength: 40 }),
      fc.array(fc.nat(FRAMES - 1), { maxLength: 20 }),
      fc.boolean(),
      async (changes, unbacked, fiveLevel) => {
        const { guest, kernel } = syntheticGuest({ extents, fiveLevel, smallPages: fiveLevel })
        const bases = {
          root: kernel.rootPfn,
          tables: 12_288,
          sections: kernel.memSectionPfn + 401,
          pages: kernel.structPagesPfn(0),
        }
        for (const [{ base, offset }, found] of changes) guest.writeU64(bases[base] * 4096 + offset, found)
        for (const pfn of unbacked) guest.unbacked.add(pfn)
        await use(guest, kernel)
      },
    ),
    { numRuns: 200 },
  )
})

test('page tables that contain themselves end', async () => {
  for (const fiveLevel of [false, true]) {
    const { guest, kernel } = syntheticGuest({ extents, fiveLevel })
    // Every free entry of every table points back to the root or to a neighbour: walks without a bound never end.
    for (const table of [kernel.rootPfn, ...Array.from({ length: 16 }, (_, i) => 12_288 + i)]) {
      for (let entry = 0; entry < 512; entry++) {
        const at = table * 4096 + entry * 8
        const target = entry % 2 === 0 ? kernel.rootPfn : 12_288 + (entry % 16)
        if (guest.readU64(at) === 0n) guest.writeU64(at, (BigInt(target) << 12n) | 0x63n)
      }
    }
    await use(guest, kernel)
    await expect(openLinuxGuest(guest, { elfNotes: kernel.note })).resolves.toMatchObject({ warnings: [] })
  }
})
