import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type AuditEntry, AuditLog } from './audit-log.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-audit-'))
  path = join(folder, 'audit.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const entry = (resource: string): AuditEntry => ({
  principal: 'key:ci',
  tenant: 'acme',
  action: 'POST /v1/dumps',
  resource,
  outcome: 'allowed',
  code: null,
  request: 'r1',
  address: '192.0.2.1',
})
const lines = (file = path) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AuditEntry & { time: string })

test('a line is in the file when write has resolved, after those that were there', async () => {
  writeFileSync(path, '{"resource":"earlier"}\n', { mode: 0o600 })
  await using log = new AuditLog(path)
  await log.write(entry('guest:web-1\n{"forged":true}'))
  const [earlier, line] = lines()
  expect(earlier?.resource).toBe('earlier')
  expect(line).toEqual({ time: expect.stringMatching(/^\d{4}-.*Z$/), ...entry('guest:web-1\n{"forged":true}') })
})

test('lines that come at once are all there, in order, each whole', async () => {
  await using log = new AuditLog(path)
  const names = Array.from({ length: 500 }, (_, index) => `guest:${index}`)
  await Promise.all(names.map((name) => log.write(entry(name))))
  expect(lines().map(({ resource }) => resource)).toEqual(names)
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('a file that is moved away is begun anew in its place', async () => {
  await using log = new AuditLog(path)
  await log.write(entry('a'))
  renameSync(path, `${path}.1`)
  await log.write(entry('b'))
  expect([lines(`${path}.1`), lines()].map((found) => found.map(({ resource }) => resource))).toEqual([['a'], ['b']])
})

test('what cannot be written is said, and the next line is written when it can be', async () => {
  await using log = new AuditLog(path)
  renameSync(folder, `${folder}.away`)
  await expect(log.write(entry('a'))).rejects.toMatchObject({ code: 'ENOENT' })
  renameSync(`${folder}.away`, folder)
  await log.write(entry('b'))
  expect(lines().map(({ resource }) => resource)).toEqual(['b'])
})

test('while the disk hangs nobody waits for long, nor do too many lines, and then it goes on', async () => {
  const { promise: disk, resolve: goOn } = Promise.withResolvers<void>()
  await using log = new AuditLog(path, { withinMs: 100, mostWaiting: 3, sync: () => disk })
  const waiting = ['a', 'b', 'c'].map((name) => log.write(entry(name)))
  await expect(log.write(entry('d'))).rejects.toThrow(
    /^expected fewer than 3 lines to wait for .*: does its disk hang\?$/,
  )
  for (const { reason } of (await Promise.allSettled(waiting)) as PromiseRejectedResult[]) {
    expect(String(reason)).toMatch(/to be written within 100 ms: does its disk hang\?$/)
  }
  await expect(log.write(entry('e'))).rejects.toThrow(/fewer than 3/)
  goOn()
  await expect.poll(() => lines().map(({ resource }) => resource)).toEqual(['a', 'b', 'c'])
  await log.write(entry('f'))
  expect(lines().at(-1)?.resource).toBe('f')
})

test('a disk that hangs holds up no end', async () => {
  const log = new AuditLog(path, { withinMs: 100, sync: () => new Promise(() => undefined) })
  await expect(log.write(entry('a'))).rejects.toThrow(/within 100 ms/)
  await log[Symbol.asyncDispose]()
})

test('a file that others can read, a link and a folder are refused', () => {
  writeFileSync(path, '')
  chmodSync(path, 0o640)
  expect(() => new AuditLog(path)).toThrow(/its owner alone, found mode 0640/)
  symlinkSync(path, join(folder, 'link'))
  expect(() => new AuditLog(join(folder, 'link'))).toThrow(/ELOOP/)
  expect(() => new AuditLog(folder)).toThrow(/EISDIR/)
})
