import { expect, test } from 'vitest'
import { writeRefusalOf } from './write-refusal.ts'

test.each([
  ["OOM command not allowed when used memory > 'maxmemory'.", 'OOM'],
  ['MISCONF Errors writing to the AOF file: No space left on device', 'MISCONF'],
  ["READONLY You can't write against a read only replica.", 'READONLY'],
  ['Connection is closed.', undefined],
  ['NOAUTH Authentication required.', undefined],
])('%s', (message, code) => {
  expect(writeRefusalOf(new Error(message))).toBe(code)
})
