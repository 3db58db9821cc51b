import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dumpFailure, failureOfReason, reasonOfFailure, toFailure } from './dump-failure.ts'

test('a failure survives the one line that the queue keeps', () => {
  const code = fc.stringMatching(/^[A-Z][A-Z0-9_]{1,63}$/)
  const message = fc.string({ minLength: 1, maxLength: 4_000 })
  fc.assert(
    fc.property(code, message, (code, message) => {
      expect(failureOfReason(reasonOfFailure({ code, message }))).toEqual({ code, message })
    }),
  )
})

test("the queue's own reasons are told apart from an engine's", () => {
  expect(failureOfReason('job stalled more than allowable limit').code).toBe('WORKER_LOST')
  expect(failureOfReason('job started more than allowable limit').code).toBe('WORKER_LOST')
  expect(failureOfReason('Cannot read properties of undefined')).toEqual({
    code: 'INTERNAL',
    message: 'Cannot read properties of undefined',
  })
})

test('whatever is thrown becomes a failure that fits the schema', () => {
  fc.assert(
    fc.property(fc.string(), fc.string({ maxLength: 10_000 }), (code, message) => {
      expect(dumpFailure.safeParse(toFailure(code, message)).success).toBe(true)
      expect(dumpFailure.safeParse(failureOfReason(message)).success).toBe(true)
    }),
  )
})
