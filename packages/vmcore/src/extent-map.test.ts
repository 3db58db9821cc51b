import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExtentList, ExtentMap } from './extent-map.ts'

function mapOf(extents: readonly (readonly [number, number, number])[], wins: 'first' | 'last'): ExtentMap {
  const list = new ExtentList()
  for (const extent of extents) list.add(...extent)
  return ExtentMap.of(list, wins)
}

function toList(map: ExtentMap): number[][] {
  return Array.from({ length: map.count }, (_, i) => Object.values(map.at(i)))
}

test('joins what continues on both sides, keeps apart what does not', () => {
  expect(
    toList(
      mapOf(
        [
          [0, 10, 100],
          [10, 5, 110],
          [15, 5, 200],
        ],
        'last',
      ),
    ),
  ).toEqual([
    [0, 15, 100],
    [15, 5, 200],
  ])
})

test.each(['first', 'last'] as const)('of overlapping extents the %s has the address', (wins) => {
  const map = mapOf(
    [
      [0, 10, 100],
      [5, 10, 200],
      [2, 4, 300],
    ],
    wins,
  )
  expect(toList(map)).toEqual(
    wins === 'first'
      ? [
          [0, 10, 100],
          [10, 5, 205],
        ]
      : [
          [0, 2, 100],
          [2, 4, 300],
          [6, 9, 201],
        ],
  )
})

test('finds the extent of an address, or the next one', () => {
  const map = mapOf(
    [
      [10, 5, 0],
      [20, 5, 5],
    ],
    'last',
  )
  expect([0, 10, 14, 15, 20, 24, 25].map((address) => map.find(address))).toEqual([0, 0, 0, 1, 1, 1, 2])
  expect(map.end).toBe(25)
  expect(mapOf([], 'last').end).toBe(0)
})

describe('any extents', () => {
  const extent = fc.tuple(fc.nat(60), fc.nat(20), fc.nat(1000))

  test.each(['first', 'last'] as const)('say of each address what a plain array says (%s)', (wins) => {
    fc.assert(
      fc.property(fc.array(extent, { maxLength: 12 }), (extents) => {
        const expected: (number | undefined)[] = Array.from({ length: 100 })
        for (const [start, length, position] of extents) {
          for (let i = 0; i < length; i++) {
            if (wins === 'last' || expected[start + i] === undefined) expected[start + i] = position + i
          }
        }
        const map = mapOf(extents, wins)
        const found = Array.from({ length: 100 }, (_, address) => {
          const index = map.find(address)
          if (index === map.count) return undefined
          const { start, position } = map.at(index)
          return start <= address ? position + address - start : undefined
        })
        expect(found).toEqual(expected)
      }),
      { numRuns: 500 },
    )
  })

  test('a great many that claim the same address take no longer than any', () => {
    const list = new ExtentList()
    const count = 100_000
    for (let i = 0; i < count; i++) list.add(0, 1 + (i % 100), 2 * i)
    const map = ExtentMap.of(list, 'last')
    expect(map.find(1_000_000)).toBe(map.count)
    expect(map.count).toBeLessThanOrEqual(100)
  })
})
