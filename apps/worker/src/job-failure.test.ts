import { UnrecoverableError } from 'bullmq'
import { expect, test } from 'vitest'
import { AttemptError, toJobError } from './job-failure.ts'

test.each([
  ['UNAVAILABLE', 3],
  ['GUEST_BUSY', 3],
  ['CHILD_DIED', 2],
  ['MEMORY_UNREADABLE', 2],
  ['NO_SPACE', 1],
  ['UNSUPPORTED', 1],
  ['CANCELLED', 1],
  ['SOMETHING_NEW', 1],
])('%s is tried %i times in all', (code, attempts) => {
  for (let attempt = 1; attempt < attempts; attempt++) {
    expect(toJobError(new AttemptError(code, 'why'), attempt)).not.toBeInstanceOf(UnrecoverableError)
  }
  const last = toJobError(new AttemptError(code, 'why'), attempts)
  expect(last).toBeInstanceOf(UnrecoverableError)
  expect(last.message).toBe(`${code}: why`)
})

test('an error without a code fails for good as INTERNAL', () => {
  expect(toJobError(new TypeError('x is not a function'), 1)).toMatchObject({
    name: 'UnrecoverableError',
    message: 'INTERNAL: x is not a function',
  })
})
