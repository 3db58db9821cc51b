import { afterEach, expect, test, vi } from 'vitest'
import { sharedAnswer } from './shared-answer.ts'

afterEach(() => vi.useRealTimers())

function begin(ask: () => Promise<number>) {
  vi.useFakeTimers()
  const asked = vi.fn(ask)
  return { asked, get: sharedAnswer(asked, { standsMs: 1_000, withinMs: 2_000, late: () => new Error('late') }) }
}

test('who asks at the same time, or within a second, gets the same answer', async () => {
  let count = 0
  const { asked, get } = begin(async () => (count += 1))
  expect(await Promise.all([get(), get(), get()])).toEqual([1, 1, 1])
  vi.advanceTimersByTime(999)
  expect(await get()).toBe(1)
  vi.advanceTimersByTime(1)
  expect(await get()).toBe(2)
  expect(asked).toHaveBeenCalledTimes(2)
})

test('a failure stands no longer than an answer', async () => {
  let works = false
  const { get } = begin(async () => {
    if (!works) throw new Error('away')
    return 1
  })
  await expect(get()).rejects.toThrow('away')
  works = true
  await expect(get()).rejects.toThrow('away')
  vi.advanceTimersByTime(1_000)
  expect(await get()).toBe(1)
})

test('nobody waits for longer than is said, and what hangs is not asked again meanwhile', async () => {
  let answer: (value: number) => void = () => undefined
  const { asked, get } = begin(() => new Promise((resolve) => (answer = resolve)))
  for (let each = 0; each < 3; each += 1) {
    const answer = get().catch((error: Error) => error.message)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(await answer).toBe('late')
  }
  expect(asked).toHaveBeenCalledTimes(1)
  answer(7)
  expect(await get()).toBe(7)
})
