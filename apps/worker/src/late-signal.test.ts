import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { lateSignal } from './late-signal.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test.each([true, false])('aborts so much later, with the same reason; aborted before: %s', (before) => {
  const stop = new AbortController()
  if (before) stop.abort('shutdown')
  const late = lateSignal(stop.signal, 2_000)
  vi.advanceTimersByTime(before ? 1_999 : 10_000)
  stop.abort('shutdown')
  expect(late.aborted).toBe(false)
  vi.advanceTimersByTime(before ? 1 : 2_000)
  expect(late.reason).toBe('shutdown')
})
