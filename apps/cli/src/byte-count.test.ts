import { expect, test } from 'vitest'
import { byteCount } from './byte-count.ts'
import { UsageError } from './usage-error.ts'

const range = { maxBytes: 2 ** 42, fallback: 7 }

test.each([
  [undefined, 7],
  ['0', 0],
  ['4096', 4096],
  ['2K', 2048],
  ['256M', 268_435_456],
  ['3G', 3 * 2 ** 30],
  ['4T', 2 ** 42],
])('%s is %i bytes', (text, bytes) => {
  expect(byteCount('memory', text, range)).toBe(bytes)
})

test.each(['', 'M', '1.5G', '-1', '5T', '1e3', '256 M', '256MiB', '9'.repeat(400)])('%s is refused', (text) => {
  expect(() => byteCount('memory', text, range)).toThrow(UsageError)
})
