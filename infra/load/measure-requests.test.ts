import { expect, test } from 'vitest'
import { measureEach } from './measure-requests.ts'

test('each item is done once, four at a time', async () => {
  const done: number[] = []
  let running = 0
  let most = 0
  const items = Array.from({ length: 10 }, (_, i) => i)
  const figures = await measureEach('it', items, async (item) => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setTimeout(resolve, 5))
    running--
    done.push(item)
  })
  expect(done.toSorted((a, b) => a - b)).toEqual(items)
  expect(most).toBe(4)
  expect(figures).toMatchObject({ what: 'it', count: 10 })
  expect(figures.p99Ms).toBeGreaterThanOrEqual(figures.p50Ms)
})
