import { expect, test } from 'vitest'
import { Attempts } from './attempts.ts'

/** Begins an attempt that goes on until it is told to end, and until `leave` is called. */
function begin(attempts: Attempts, job: string) {
  const { promise: left, resolve: leave } = Promise.withResolvers<void>()
  const signals: AbortSignal[] = []
  const ended = attempts.run(job, async ({ signal }) => {
    signals.push(signal)
    await left
  })
  return { leave, ended, reason: () => signals[0]?.reason as unknown }
}

test('a job that was taken again is told, whatever the attempt before it does', async () => {
  const attempts = new Attempts()
  const first = begin(attempts, 'a')
  expect(attempts.end('a', 'lockLost')).toBe(true)
  const second = begin(attempts, 'a')
  const other = begin(attempts, 'b')
  expect(attempts.count).toBe(3)
  first.leave()
  await first.ended
  expect([...attempts.jobs]).toEqual(['a', 'b'])
  expect(attempts.end('a', 'cancelled')).toBe(true)
  expect([first, second, other].map((each) => each.reason())).toEqual(['lockLost', 'cancelled', undefined])
})

test('who was told is not told again, and what has ended is not there', async () => {
  const attempts = new Attempts()
  const only = begin(attempts, 'a')
  expect(attempts.end('a', 'cancelled')).toBe(true)
  expect(attempts.end('a', 'cancelled')).toBe(false)
  attempts.endAll('shutdown')
  expect(only.reason()).toBe('cancelled')
  only.leave()
  await only.ended
  expect(attempts.count).toBe(0)
  expect(attempts.end('a', 'cancelled')).toBe(false)
})

test('an attempt that fails is no longer there', async () => {
  const attempts = new Attempts()
  const failing = attempts.run('a', async () => Promise.reject(new Error('no')))
  await expect(failing).rejects.toThrow('no')
  expect(attempts.count).toBe(0)
})
