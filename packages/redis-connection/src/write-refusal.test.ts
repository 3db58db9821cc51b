import { expect, test } from 'vitest'
import { writeRefusalOf } from './write-refusal.ts'

test.each([
  ["OOM command not allowed when used memory > 'maxmemory'.", 'OOM'],
  ['MISCONF Errors writing to the AOF file: No space left on device', 'MISCONF'],
  ["READONLY You can't write against a read only replica.", 'READONLY'],
  ["OOM command not allowed when used memory > 'maxmemory'. script: 8b0c2b0f, on @user_script:12.", 'OOM'],
  [
    "ERR Error running script (call to f_8b0c2b0f): @user_script:12: @user_script: 12: -OOM command not allowed when used memory > 'maxmemory'.",
    'OOM',
  ],
  ['Connection is closed.', undefined],
  ['NOAUTH Authentication required.', undefined],
])('%s', (message, code) => {
  expect(writeRefusalOf(new Error(message))).toBe(code)
})
