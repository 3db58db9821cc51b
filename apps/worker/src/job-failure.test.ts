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

test.each(['ENOSPC', 'EDQUOT'])('%s, met by worker or child, fails as NO_SPACE', (code) => {
  const own = toJobError(Object.assign(new Error('write failed'), { code }), 1)
  expect(own).toBeInstanceOf(UnrecoverableError)
  expect(own.message).toBe('NO_SPACE: a disk of this host is full: write failed')
  expect(toJobError(new AttemptError(code, 'write failed'), 1).message).toBe(own.message)
})

test('what the first attempt failed of stays in the reason', () => {
  const first = toJobError(new AttemptError('UNAVAILABLE', 'qemu closed the socket'), 1)
  const second = toJobError(new AttemptError('CHILD_DIED', 'killed'), 2, first.message)
  expect(second.message).toBe('CHILD_DIED: killed; first attempt: UNAVAILABLE: qemu closed the socket')
  const third = toJobError(new AttemptError('GUEST_NOT_FOUND', 'no socket'), 3, second.message)
  expect(third.message).toBe('GUEST_NOT_FOUND: no socket; first attempt: UNAVAILABLE: qemu closed the socket')
  const same = toJobError(new AttemptError('UNAVAILABLE', 'qemu closed the socket'), 2, first.message)
  expect(same.message).toBe('UNAVAILABLE: qemu closed the socket')
  expect(toJobError(new AttemptError('CANCELLED', 'asked for'), 2, first.message).message).toBe('CANCELLED: asked for')
})
