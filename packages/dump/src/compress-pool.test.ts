import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { slotLayout } from './batch-slots.ts'
import { CompressPool } from './compress-pool.ts'

const layout = slotLayout(4096, 8192)
const uncaught: unknown[] = []
const note = (error: unknown): void => void uncaught.push(error)

beforeEach(() => {
  uncaught.length = 0
  process.prependListener('uncaughtException', note)
})
afterEach(() => void process.off('uncaughtException', note))

test('when all threads fail the first failure is told, and no other once the pool is left', async () => {
  for (let round = 0; round < 4; round++) {
    const pool = new CompressPool({ jobs: 2, codec: undefined })
    await pool.ready
    const settings = { pageBytes: 4096, shareZeroPages: true, compressedFlag: 0, comparePages: false }
    const store = new SharedArrayBuffer(4096)
    pool.use({ store, slots: new SharedArrayBuffer(layout.slotBytes), layout, batches: 1, settings })
    // There is no such batch.
    const runs = [1, 2].map(() => pool.run({ at: 0, pieces: [], batch: 99, count: 1 }))
    const other = runs[1] as Promise<unknown>
    other.catch(() => undefined)
    await expect(runs[0]).rejects.toThrow('no batch 99')
    await pool[Symbol.asyncDispose]()
  }
  await delay(200)
  expect(uncaught).toEqual([])
})
