import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { fuzzSavedState } from './fuzz-saved-state.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-fuzz-'))
afterAll(() => rmSync(folder, { recursive: true }))

test.each([11, 12, 13, 14])('ten thousand broken saved states, seed %i', { timeout: 600_000 }, async (seed) => {
  const { opened, refused, slowestMs } = await fuzzSavedState(folder, { files: 10_000, seed })
  expect(opened + refused).toBe(10_000)
  expect(slowestMs).toBeLessThan(5000)
})
