import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stackCell } from './stack-cell.ts'

const order = [0, 1, 2, 3, 4, 5]

test('heights follow the number of frames', () => {
  const counts = Float64Array.of(8, 0, 4, 4, 0, 0)
  expect(stackCell(counts, { order, height: 16, full: 16 })).toEqual([
    { combination: 0, height: 8 },
    { combination: 2, height: 4 },
    { combination: 3, height: 4 },
  ])
})

test('one frame of a million is seen', () => {
  const layers = stackCell(Float64Array.of(999_999, 1, 0, 0, 0, 0), { order, height: 16, full: 1_000_000 })
  expect(layers).toEqual([
    { combination: 0, height: 14 },
    { combination: 1, height: 2 },
  ])
})

test('a cell that is not all guest RAM is not filled; without any it is empty', () => {
  const options = { order, height: 16, full: 64 }
  expect(stackCell(Float64Array.of(0, 32, 0, 0, 0, 0), options)).toEqual([{ combination: 1, height: 8 }])
  expect(stackCell(Float64Array.of(0, 1, 0, 0, 0, 0), options)).toEqual([{ combination: 1, height: 1 }])
  expect(stackCell(new Float64Array(6), options)).toEqual([])
})

test('a full cell is always filled, and nothing in it is lost', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 100_000 }), { minLength: 6, maxLength: 6 }), (frames) => {
      const full = frames.reduce((sum, count) => sum + count, 0)
      const layers = stackCell(Float64Array.from(frames), { order, height: 16, full })
      expect(layers.map(({ combination }) => combination)).toEqual(order.filter((i) => (frames[i] ?? 0) > 0))
      if (full > 0) expect(layers.reduce((sum, { height }) => sum + height, 0)).toBe(16)
      expect(layers.every(({ height }) => height >= 1)).toBe(true)
    }),
  )
})
