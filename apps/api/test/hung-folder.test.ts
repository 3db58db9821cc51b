import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DumpResult, dumpOptions, publishedFiles } from '@ullage/dump-job'
import { startRedis } from '@ullage/lab'
import { expect, test } from 'vitest'
import { Journal } from '../src/journal.ts'
import { ApiProcess } from './api-process.ts'

const result: DumpResult = {
  artifact: { file: 'vmcore', bytes: 5, sha256: 'a'.repeat(64), format: 'kdump', compression: 'zstd', level: 31 },
  pausedMs: 1,
  alarm: false,
  warnings: [],
  totalMs: 1,
}

/** Dumps that succeeded, whose reports take as long to open as on a file system that hangs. */
function makeHungDumps(folder: string, count: number): string[] {
  using journal = new Journal(join(folder, 'state', 'journal.sqlite'))
  return Array.from({ length: count }, (_, index) => {
    const id = randomUUID()
    journal.accept({ id, guest: `web-${index}`, host: 'h1', options: dumpOptions.parse({}) })
    journal.change(id, { state: 'running', queued: true })
    journal.change(id, { state: 'succeeded', finishedMs: Date.now(), result })
    mkdirSync(join(folder, 'artifacts', id), { recursive: true })
    execFileSync('mkfifo', [join(folder, 'artifacts', id, publishedFiles.report)])
    return id
  })
}

test('while the folder of artifacts hangs, reports are unavailable within the limit and all else is answered', async () => {
  await using redis = await startRedis()
  await using api = new ApiProcess()
  const dumps = makeHungDumps(api.folder, 6)
  const audit = join(api.folder, 'audit.jsonl')
  const url = await api.start({ ULLAGE_REDIS_URL: redis.url, ULLAGE_AUDIT_FILE: audit })
  const begun = performance.now()
  const reports = dumps.map(async (id) => {
    const answer = await fetch(`${url}/v1/dumps/${id}/report`)
    return { status: answer.status, code: ((await answer.json()) as { code: string }).code }
  })
  const body = JSON.stringify({ guest: 'nobody' })
  const post = () => fetch(`${url}/v1/dumps`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  expect((await post()).status).toBe(404)
  expect(performance.now() - begun).toBeLessThan(8_000)
  expect(await Promise.all(reports)).toEqual(dumps.map(() => ({ status: 503, code: 'STORE_UNAVAILABLE' })))
  expect(performance.now() - begun).toBeLessThan(20_000)
  // The pool that writes the audit log has threads left, also now.
  expect((await post()).status).toBe(404)
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  expect(readFileSync(audit, 'utf8')).toContain('GUEST_UNKNOWN')

  const told = performance.now()
  api.signal('SIGTERM')
  expect(await api.ended()).toBe(0)
  expect(performance.now() - told).toBeLessThan(15_000)
  expect(api.said).toContain('"api ends"')
})
