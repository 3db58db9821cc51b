import { expect, test } from 'vitest'
import { evaluate } from './evaluate.ts'
import type { Row } from './goals.ts'
import { median, Samples } from './samples.ts'

const row: Row = {
  group: 'filter',
  what: 'a dump',
  peer: 'two steps of another',
  unit: 'ms',
  ours: { of: ['ours'], field: 'wallMs' },
  theirs: { of: ['first', 'second'], field: 'wallMs' },
  goal: 0.5,
  bytes: { ours: 'ours', theirs: 'second', goal: 1 },
}

function samplesOf(all: Record<string, [wallMs: number, bytes: number, gib: number][]>): Samples {
  return new Samples(
    Object.fromEntries(
      Object.entries(all).map(([key, runs]) => [key, runs.map(([wallMs, bytes, gib]) => ({ wallMs, bytes, gib }))]),
    ),
  )
}

const good = {
  ours: [
    [40, 10, 2],
    [10, 10, 2],
    [1000, 10, 2],
  ],
  first: [
    [60, 0, 1],
    [50, 0, 1],
    [70, 0, 1],
  ],
  second: [
    [20, 10, 1],
    [50, 10, 1],
    [30, 10, 1],
  ],
} satisfies Record<string, [number, number, number][]>

test('a row is the median of ours by the median of what the peer takes in all its steps', () => {
  expect(evaluate([row], samplesOf(good))).toMatchObject([
    { ours: 40, theirs: 100, ratio: 0.4, lowestRatio: 0.1, highestRatio: 10, bytesRatio: 1, met: true },
  ])
})

test('a goal is missed by time or by size', () => {
  const slow = samplesOf({
    ...good,
    ours: [
      [60, 10, 2],
      [60, 10, 2],
      [60, 10, 2],
    ],
  })
  const large = samplesOf({
    ...good,
    ours: [
      [40, 11, 2],
      [40, 11, 2],
      [40, 11, 2],
    ],
  })
  expect(evaluate([row], slow)).toMatchObject([{ ratio: 0.6, met: false }])
  expect(evaluate([row], large)).toMatchObject([{ ratio: 0.4, bytesRatio: 1.1, met: false }])
  const { goal: _goal, bytes: _bytes, ...unpromised } = row
  expect(evaluate([unpromised], slow)).toMatchObject([{ ratio: 0.6, goal: null, met: null }])
})

test('a figure can be a share of another of the same run, and a peer a constant', () => {
  const perGib: Row = { ...row, ours: { of: ['ours'], field: 'wallMs', perField: 'gib' }, theirs: 40 }
  expect(evaluate([perGib], samplesOf(good))).toMatchObject([{ ours: 20, theirs: 40, ratio: 0.5, met: true }])
})

test('a row of which something was not measured is left out', () => {
  const { second: _, ...rest } = good
  expect(evaluate([row], samplesOf(rest))).toEqual([])
  expect(evaluate([{ ...row, ours: { of: ['ours'], field: 'pausedMs' } }], samplesOf(good))).toEqual([])
})

test('the median of an even number is between its middle two', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([5])).toBe(5)
  expect(median([])).toBeNaN()
})
