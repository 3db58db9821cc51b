import { expect, test } from 'vitest'
import { parseByteRange } from './byte-range.ts'

test.each([
  [undefined, undefined],
  ['items=0-5', undefined],
  ['bytes=0-0', { startByte: 0, endByte: 1 }],
  ['bytes=0-', { startByte: 0, endByte: 1000 }],
  ['bytes=990-5000', { startByte: 990, endByte: 1000 }],
  ['bytes=0-99999999999999999999', { startByte: 0, endByte: 1000 }],
  ['bytes=-99999999999999999999', { startByte: 0, endByte: 1000 }],
  ['bytes=-10', { startByte: 990, endByte: 1000 }],
  ['bytes=-5000', { startByte: 0, endByte: 1000 }],
  ['Bytes = 3-4', { startByte: 3, endByte: 5 }],
  ['bytes=1000-', 'unsatisfiable'],
  ['bytes=5-4', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=-', 'unsatisfiable'],
  ['bytes=', 'unsatisfiable'],
  ['bytes=a-b', 'unsatisfiable'],
  ['bytes=0-1,3-4', 'unsatisfiable'],
  ['bytes=0x1-2', 'unsatisfiable'],
  ['bytes=1.5-2', 'unsatisfiable'],
  ['bytes=99999999999999999-', 'unsatisfiable'],
])('%j of 1000 bytes', (header, expected) => {
  expect(parseByteRange(header, 1000)).toEqual(expected)
})

test('an empty file has no range', () => {
  expect(parseByteRange('bytes=0-', 0)).toBe('unsatisfiable')
  expect(parseByteRange('bytes=-1', 0)).toBe('unsatisfiable')
})
