import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { fuzzSavedState } from './fuzz-saved-state.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-fuzz-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('two thousand broken saved states: refused or read, soon, and never more than that', {
  timeout: 120_000,
}, async () => {
  const before = process.memoryUsage().rss
  const outcome = await fuzzSavedState(folder, { files: 2000, seed: 4 })
  expect(outcome.opened + outcome.refused).toBe(2000)
  // A mutation that no checksum catches must be common, or nothing behind them is tested.
  expect(outcome.opened).toBeGreaterThan(300)
  expect(outcome.refused).toBeGreaterThan(300)
  expect(outcome.unreadable).toBeGreaterThan(20)
  expect(outcome.slowestMs).toBeLessThan(5000)
  expect(process.memoryUsage().rss - before).toBeLessThan(512 << 20)
})
