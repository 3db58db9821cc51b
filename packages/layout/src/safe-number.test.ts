import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LayoutError } from './layout-error.ts'
import { readU64, toSafeNumber, writeU64 } from './safe-number.ts'

test('converts what a number can hold, and nothing else', () => {
  expect(toSafeNumber(2n ** 53n - 1n, 'size')).toBe(2 ** 53 - 1)
  expect(toSafeNumber(-5n, 'size')).toBe(-5)
  expect(() => toSafeNumber(2n ** 53n, 'size')).toThrow(
    new LayoutError('size is 9007199254740992, more than a number can hold exactly'),
  )
  expect(() => toSafeNumber(-(2n ** 53n), 'size')).toThrow(LayoutError)
})

test('a u64 read without bigint is exact when it is safe, and not a safe integer when it is not', () => {
  const view = new DataView(new ArrayBuffer(8))
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
      view.setBigUint64(0, value, true)
      const read = readU64(view, 0)
      if (value <= BigInt(Number.MAX_SAFE_INTEGER)) expect(read).toBe(Number(value))
      else expect(Number.isSafeInteger(read)).toBe(false)
    }),
  )
})

test('a number written as u64 is the same number', () => {
  const view = new DataView(new ArrayBuffer(8))
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      writeU64(view, 0, value)
      expect(view.getBigUint64(0, true)).toBe(BigInt(value))
    }),
  )
  expect(() => writeU64(view, 0, -1)).toThrow(LayoutError)
  expect(() => writeU64(view, 0, 2 ** 53)).toThrow(LayoutError)
})
