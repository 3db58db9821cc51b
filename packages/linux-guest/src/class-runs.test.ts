import { expect, test } from 'vitest'
import { ClassRuns } from './class-runs.ts'

const found = (runs: ClassRuns) =>
  [...runs.of({ start: 100, count: 10 })].map(({ start, count, code }) => [start, count, code])

test('joins neighbours of one class and ignores what lies outside the window', () => {
  const runs = new ClassRuns()
  for (let round = 0; round < 2; round++) {
    runs.start(10)
    for (const [end, code] of [
      [-5, 1],
      [0, 2],
      [3, 3],
      [3, 4],
      [4, 3],
      [12, 5],
      [20, 6],
    ] as const)
      runs.addUpTo(end, code)
    expect(found(runs)).toEqual([
      [100, 4, 3],
      [104, 6, 5],
    ])
    const codes = new Uint8Array(11)
    runs.writeTo(codes)
    expect([...codes]).toEqual([3, 3, 3, 3, 5, 5, 5, 5, 5, 5, 0])
  }
})

test('a class for each frame, and a window larger than the one before', () => {
  const runs = new ClassRuns()
  runs.start(3)
  runs.addCodes(0, Uint8Array.of(7, 7, 8))
  expect(found(runs)).toEqual([
    [100, 2, 7],
    [102, 1, 8],
  ])
  runs.start(10)
  runs.addUpTo(4, 1)
  runs.addCodes(4, Uint8Array.of(1, 0, 0))
  expect(found(runs)).toEqual([
    [100, 5, 1],
    [105, 2, 0],
  ])
})
