import { expect, test } from 'vitest'
import type { PageTable } from './page-table.ts'
import type { PageFindings } from './page-verifier.ts'
import { shareTables } from './share-tables.ts'

const TABLE: PageTable = {
  count: 0,
  positions: new Float64Array(0),
  sizes: new Uint32Array(0),
  flags: new Uint32Array(0),
}
const FINDINGS: PageFindings = { byCompression: [], zeroPages: 0, lowest: 0, end: 0, bad: undefined }

/** A checker that does nothing until it is told how its oldest table went. */
function idle(width: number) {
  const tables: { done: () => void; fail: (error: Error) => void }[] = []
  return {
    width,
    tables,
    finished: false,
    ended: false,
    check: () =>
      new Promise<PageFindings>((resolve, reject) => tables.push({ done: () => resolve(FINDINGS), fail: reject })),
    async finish() {
      this.finished = true
    },
    async [Symbol.asyncDispose]() {
      this.ended = true
    },
  }
}

test('each table goes to whoever has the fewest for its width, and all are ended', async () => {
  const wide = idle(4)
  const narrow = idle(1)
  const shared = shareTables([wide, narrow])
  expect(shared.width).toBe(5)
  const all = Array.from({ length: 5 }, () => shared.check(TABLE))
  expect([wide.tables.length, narrow.tables.length]).toEqual([4, 1])
  narrow.tables[0]?.done()
  await all[1]
  all.push(shared.check(TABLE))
  expect([wide.tables.length, narrow.tables.length]).toEqual([4, 2])
  wide.tables[0]?.fail(new Error('it broke'))
  await expect(all[0]).rejects.toThrow('it broke')
  all.push(shared.check(TABLE))
  expect([wide.tables.length, narrow.tables.length]).toEqual([5, 2])
  for (const { done } of [...wide.tables, ...narrow.tables]) done()
  await Promise.allSettled(all)
  await shared.finish()
  expect([wide.finished, narrow.finished]).toEqual([true, true])
  await shared[Symbol.asyncDispose]()
  expect([wide.ended, narrow.ended]).toEqual([true, true])
})
