import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { refuseSecondWorker } from './refuse-second-worker.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'ullage-second-'))
afterAll(() => rmSync(stateDir, { recursive: true }))

const start = (instance: string, ...alive: (string | null)[]) => {
  const redis = { get: async () => (alive.length > 1 ? (alive.shift() ?? null) : (alive[0] ?? null)) }
  return refuseSecondWorker({ redis, host: 'h1', stateDir, instance, waitMs: 700 })
}

test('a worker starts where no other one beats but the one that had its folder', async () => {
  await start('first', null)
  await start('second', 'first')
  await start('third', 'stranger', null)
  await expect(start('fourth', 'stranger')).rejects.toThrow('expected to be the only worker of host h1')
  await start('fifth', 'third')
})
