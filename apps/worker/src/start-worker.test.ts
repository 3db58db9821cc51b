import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startWorker } from './start-worker.ts'
import { readWorkerConfig } from './worker-config.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-start-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test.each([
  ['whose artifacts are not mounted', 'artifacts', 'ULLAGE_ARTIFACTS_DIR'],
  ['whose guests folder is a file', 'guests', 'ULLAGE_GUESTS_DIR'],
])('a worker %s resumes guests that were left paused before it says so', async (_, missing, setting) => {
  for (const name of ['artifacts', 'guests']) {
    if (name === missing) writeFileSync(join(folder, name), 'no folder')
    else mkdirSync(join(folder, name))
  }
  const config = readWorkerConfig({
    ULLAGE_REDIS_URL: 'redis://127.0.0.1:1',
    ULLAGE_GUESTS_DIR: join(folder, 'guests'),
    ULLAGE_ARTIFACTS_DIR: join(folder, 'artifacts'),
    ULLAGE_STATE_DIR: join(folder, 'state'),
  })
  const resumed: string[] = []
  const started = startWorker({
    config,
    log: pino({ level: 'silent' }),
    childModule: new URL(import.meta.url),
    describe: async () => ({ backend: 'none' }),
    resumeAbandoned: async (stateDir) => {
      resumed.push(stateDir)
      return []
    },
  })
  await expect(started).rejects.toThrow(`${setting}: expected a folder that can be used`)
  expect(resumed).toEqual([join(folder, 'state')])
})
