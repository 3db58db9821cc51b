import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { within } from './within.ts'

const never = new Promise<never>(() => undefined)

test('what ends in time is waited for, and what does not is left', async () => {
  expect(await within(10_000, delay(10))).toBe(true)
  expect(await within(10, never)).toBe(false)
})

test('what fails in time is thrown, and what fails later is heard by nobody', async () => {
  await expect(within(10_000, Promise.reject(new Error('gone')))).rejects.toThrow('gone')
  const unheard: unknown[] = []
  const hear = (reason: unknown) => unheard.push(reason)
  process.on('unhandledRejection', hear)
  try {
    const { promise, reject } = Promise.withResolvers<void>()
    expect(await within(10, promise)).toBe(false)
    reject(new Error('later'))
    await delay(20)
    expect(unheard).toEqual([])
  } finally {
    process.off('unhandledRejection', hear)
  }
})
