import fc from 'fast-check'
import { expect, test } from 'vitest'
import { orderByPosition } from './order-by-position.ts'
import type { PageTable } from './page-table.ts'

function tableOf(positions: readonly number[]): PageTable {
  const count = positions.length
  return {
    count,
    positions: Float64Array.from(positions),
    sizes: new Uint32Array(count),
    flags: new Uint32Array(count),
  }
}

test('positions that ascend, equal ones among them, need no order', () => {
  for (const positions of [[], [7], [0, 0, 0], [1, 2, 2, 2 ** 60]]) {
    expect(orderByPosition(tableOf(positions))).toBeUndefined()
  }
})

test('indices come by position, equal ones by index', () => {
  const position = fc.oneof(fc.nat(30), fc.nat(), fc.integer({ min: 0, max: 2 ** 40 }))
  fc.assert(
    fc.property(fc.array(position, { maxLength: 200 }), (positions) => {
      const expected = [...positions.keys()].sort((a, b) => (positions[a] ?? 0) - (positions[b] ?? 0) || a - b)
      expect([...(orderByPosition(tableOf(positions)) ?? positions.keys())]).toEqual(expected)
    }),
  )
})

test('whatever positions a file claims, each index comes once', () => {
  const position = fc.oneof(
    fc.nat(30),
    fc.integer({ min: 0, max: 64 }).map((exponent) => 2 ** exponent),
  )
  fc.assert(
    fc.property(fc.array(position, { minLength: 1, maxLength: 4096 }), (positions) => {
      const order = orderByPosition(tableOf(positions)) ?? Uint32Array.from(positions.keys())
      expect([...order].sort((a, b) => a - b)).toEqual([...positions.keys()])
      const found = [...order].map((index) => positions[index] as number)
      const step = Math.max(1, Math.max(...positions) / 2 ** 39)
      found.forEach((at, i) => expect(at).toBeGreaterThanOrEqual((found[i - 1] ?? 0) - step))
    }),
    { numRuns: 50 },
  )
})
