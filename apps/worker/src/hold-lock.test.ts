import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { holdLock } from './hold-lock.ts'

/** Holds the lock of a job whose renewals are answered with `answers`, then with 1. */
function hold(...answers: (number | Error)[]) {
  const seen = { asked: 0, lost: 0, warned: 0 }
  const job = {
    id: 'j',
    async extendLock() {
      seen.asked++
      const answer = answers.shift() ?? 1
      if (answer instanceof Error) throw answer
      return answer
    },
  }
  const holding = holdLock(job, {
    token: 't',
    lockMs: 20,
    lost: () => seen.lost++,
    log: { warn: () => seen.warned++ },
  })
  return { seen, holding }
}

test('renews until it is disposed', async () => {
  const { seen, holding } = hold()
  await expect.poll(() => seen.asked).toBeGreaterThan(3)
  holding[Symbol.dispose]()
  const { asked } = seen
  await delay(60)
  expect(seen).toEqual({ asked, lost: 0, warned: 0 })
})

test('a lock that is gone is told once, and no longer asked for', async () => {
  const { seen, holding } = hold(1, 0)
  await expect.poll(() => seen.lost).toBe(1)
  await delay(60)
  expect(seen).toEqual({ asked: 2, lost: 1, warned: 0 })
  holding[Symbol.dispose]()
})

test('a question that fails loses nothing: the next one tells', async () => {
  const { seen, holding } = hold(new Error('away'), 1)
  await expect.poll(() => seen.asked).toBeGreaterThan(2)
  expect(seen).toMatchObject({ lost: 0, warned: 1 })
  holding[Symbol.dispose]()
})
