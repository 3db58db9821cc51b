import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KnownPages } from './known-pages.ts'

test('what is known was added just so, and the last page at a place is known', () => {
  const known = new KnownPages()
  const added = new Set<string>()
  const page = fc.record({
    // Close together, far apart, and such as share a slot.
    position: fc.oneof(
      fc.integer({ min: 1, max: 600 }),
      fc.nat(5).map((i) => 100 + i * 2 ** 29),
      fc.maxSafeNat(),
    ),
    size: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constantFrom(4096, 262_144)),
    flags: fc.constantFrom(0, 1, 2, 4, 32),
    isZero: fc.boolean(),
  })
  const key = ({ position, size, flags }: { position: number; size: number; flags: number }): string =>
    `${position} ${size} ${flags}`
  fc.assert(
    fc.property(fc.array(page, { minLength: 1 }), (pages) => {
      for (const asked of pages) {
        const found = known.find(asked.position, asked.size, asked.flags)
        if (found !== undefined) expect(added).toContain(`${key(asked)} ${found}`)
        known.add(asked.position, asked.size, asked.flags, asked.isZero)
        added.add(`${key(asked)} ${asked.isZero}`)
        expect(known.find(asked.position, asked.size, asked.flags)).toBe(asked.isZero)
      }
    }),
  )
})

test('nothing is known at first, and no page by another size or other flags', () => {
  const known = new KnownPages()
  expect(known.find(4096, 4096, 0)).toBeUndefined()
  known.add(4096, 100, 2, true)
  expect(known.find(4096, 100, 2)).toBe(true)
  for (const [size, flags] of [
    [101, 2],
    [99, 2],
    [100, 1],
    [100, 4],
  ] as const) {
    expect(known.find(4096, size, flags)).toBeUndefined()
  }
  expect(known.find(4096 + 2 ** 29, 100, 2)).toBeUndefined()
})
