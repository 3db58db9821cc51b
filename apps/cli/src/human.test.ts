import { expect, test } from 'vitest'
import { humanBytes, humanShare } from './human.ts'

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1_048_575, '1.0 MiB'],
  [2 ** 40 - 131_072, '1.0 TiB'],
  [2 ** 52, '4096.0 TiB'],
])('%d bytes are %s', (bytes, text) => expect(humanBytes(bytes)).toBe(text))

test.each([
  [0, 10, '0 %'],
  [0, 0, '0 %'],
  [1, 100_000, '< 0.1 %'],
  [99_999, 100_000, '> 99.9 %'],
  [1, 3, '33.3 %'],
  [3, 3, '100 %'],
])('%d of %d are %s', (part, total, text) => expect(humanShare(part, total)).toBe(text))
