import { execFileSync, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { publishedFiles } from '@ullage/dump-job'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { reportOf } from '../test/report-of.ts'
import { FolderStore } from './folder-store.ts'
import { Keyring } from './keyring.ts'

/** Files that are opened as if the file system hung; a FIFO is not, where a regular file is needed. */
const neverOpened = vi.hoisted(() => new Set<unknown>())
vi.mock(import('node:fs/promises'), async (load) => {
  const actual = await load()
  const open: typeof actual.open = (...asked) =>
    neverOpened.has(asked[0]) ? new Promise(() => undefined) : actual.open(...asked)
  return { ...actual, open }
})

const SOCKET = 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])'

let path: string
let folder: FolderStore
const dump = randomUUID()
beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'ullage-artifacts-'))
  folder = storeOf('h1')
  await folder.prepare()
})
afterEach(() => {
  // Who waits for them waits no longer.
  for (const pipe of hung.splice(0)) closeSync(openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK))
  rmSync(path, { recursive: true })
})

/** Files that take as long to open as on a file system that hangs. */
const hung: string[] = []
function makeHung(pipe: string): void {
  execFileSync('mkfifo', [pipe])
  hung.push(pipe)
}

function makeHungDump(id: string, file: string): void {
  mkdirSync(join(path, id))
  makeHung(join(path, id, file))
}

const delivered = { storedBytes: 0, parts: [] }

function storeOf(host: string, answerWithinMs = 60_000): FolderStore {
  return new FolderStore({
    folder: path,
    keys: new Keyring([]),
    writer: { host, spoolDir: join(path, '.spool', host) },
    answerWithinMs,
  })
}

test('an attempt is invisible until it is published, then whole', async () => {
  const attempt = await folder.begin(dump)
  // The engine's files are their owner's alone.
  writeFileSync(attempt.output, 'content', { mode: 0o600 })
  writeFileSync(join(dirname(attempt.output), publishedFiles.report), 'of the engine', { mode: 0o600 })
  expect(readdirSync(path)).toEqual(['.partial', '.spool'])
  expect(await folder.report(dump)).toBeUndefined()
  expect(await attempt.publish(reportOf(7), delivered)).toEqual(reportOf(7))
  await attempt.remove()
  expect(await folder.report(dump)).toEqual(reportOf(7))
  expect(readFileSync(join(path, dump, 'vmcore'), 'utf8')).toBe('content')
  const modes = Object.values(publishedFiles).map((file) => statSync(join(path, dump, file)).mode & 0o777)
  expect(modes).toEqual([0o640, 0o640])
})

test('of two attempts the first to publish stands, and the second gets its report', async () => {
  const [first, second] = [await folder.begin(dump), await folder.begin(dump)]
  writeFileSync(first.output, 'first')
  writeFileSync(second.output, 'the second')
  await first.publish(reportOf(5), delivered)
  expect(await second.publish(reportOf(10), delivered)).toEqual(reportOf(5))
  await second.remove()
  expect(readFileSync(join(path, dump, 'vmcore'), 'utf8')).toBe('first')
  expect(readdirSync(join(path, '.partial', 'h1'))).toEqual([])
})

test('an attempt that fails to publish leaves nothing under the final name', async () => {
  const attempt = await folder.begin(dump)
  await expect(attempt.publish(reportOf(0), delivered)).rejects.toMatchObject({ code: 'ENOENT' })
  await attempt.remove()
  expect(existsSync(join(path, dump))).toBe(false)
})

test('at its start a host removes what its own attempts left, and nothing else', async () => {
  const other = storeOf('h2')
  await other.prepare()
  const theirs = await other.begin(dump)
  writeFileSync(theirs.output, 'at work')
  const dead = await folder.begin(dump)
  writeFileSync(dead.output, 'half of')
  await folder.prepare()
  expect(existsSync(dead.output)).toBe(false)
  expect(existsSync(theirs.output)).toBe(true)
})

test('the spool folder is emptied, and stays: it may be a mount point', async () => {
  const spool = join(path, '.spool', 'h1')
  chmodSync(spool, 0o700)
  writeFileSync(join(spool, 'left'), 'half of')
  await folder.prepare()
  expect(readdirSync(spool)).toEqual([])
  expect(statSync(spool).mode & 0o777).toBe(0o700)
})

test('an attempt that goes on for days is no orphan, one whose worker died is', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  try {
    const dead = await folder.begin(dump)
    // As its worker's death does.
    vi.clearAllTimers()
    const alive = await folder.begin(dump)
    const long = new Date(Date.now() - 2 * 86_400_000)
    const folders = [dead, alive].map(({ output }) => dirname(output))
    for (const each of folders) utimesSync(each, long, long)
    vi.advanceTimersByTime(3_600_000)
    await expect.poll(() => statSync(dirname(alive.output)).mtimeMs).toBeGreaterThan(long.getTime() + 1000)
    expect(await folder.removeOrphans(86_400_000)).toBe(1)
    expect(folders.map((each) => existsSync(each))).toEqual([false, true])
    await alive.remove()
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})

const isRoot = process.getuid?.() === 0
const [USER, GROUP] = [54_321, 54_322]

test.skipIf(!isRoot)('a user of the folder’s group alone removes what root published, and what it left', async () => {
  chownSync(path, 0, GROUP)
  chmodSync(path, 0o2770)
  rmSync(join(path, '.partial'), { recursive: true })
  const umask = process.umask(0o027)
  try {
    const store = storeOf('h1')
    await store.prepare()
    const attempt = await store.begin(dump)
    writeFileSync(attempt.output, 'content')
    await attempt.publish(reportOf(7), delivered)
    writeFileSync((await store.begin(randomUUID())).output, 'half of')
  } finally {
    process.umask(umask)
  }
  const script = `cat ${dump}/vmcore && mv ${dump} .removed-${dump} && rm -r .removed-${dump} .partial/h1/*`
  const bounds = ['--reuid', `${USER}`, '--regid', `${GROUP}`, '--clear-groups', '--bounding-set', '-all']
  const done = spawnSync('setpriv', [...bounds, 'sh', '-c', script], { cwd: path, encoding: 'utf8' })
  expect([done.stderr, done.stdout]).toEqual(['', 'content'])
  expect(readdirSync(join(path, '.partial/h1'))).toEqual([])
})

test.each([
  ['is empty', ''],
  ['ends in the middle', '{"schema": "ullage.rep'],
  ['says what no report says', '{"schema": "ullage.report/1"}'],
])('a report that %s is damaged, and its dump can be removed', async (_, text) => {
  mkdirSync(join(path, dump))
  writeFileSync(join(path, dump, publishedFiles.report), text)
  await expect(folder.report(dump)).rejects.toMatchObject({
    name: 'StoreError',
    code: 'STORE_CORRUPT',
    message: expect.stringContaining(`${dump}/report.json`),
  })
  await folder.remove(dump)
  expect(await folder.report(dump)).toBeUndefined()
})

test('a folder that hangs is unavailable, each question of it ends in time, and the rest of the process works', async () => {
  const store = storeOf('h1', 300)
  const dumps = [randomUUID(), randomUUID(), randomUUID()]
  for (const id of dumps) makeHungDump(id, publishedFiles.report)
  const begun = performance.now()
  const answers = await Promise.allSettled(dumps.map((id) => store.report(id)))
  expect(performance.now() - begun).toBeLessThan(5_000)
  const unavailable = { code: 'STORE_UNAVAILABLE', message: `the folder ${path} did not answer within 0.3 s` }
  expect(answers).toMatchObject(dumps.map(() => ({ status: 'rejected', reason: unavailable })))
  // Two threads are lost, and so two are left.
  await expect(store.stat(dump)).rejects.toMatchObject(unavailable)
  expect(await storeOf('h1').report(dump)).toBeUndefined()
})

test('an artifact that hangs is unavailable', async () => {
  mkdirSync(join(path, dump))
  neverOpened.add(join(path, dump, publishedFiles.artifact))
  await expect(storeOf('h1', 200).open(dump)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})

test.each<[string, (artifact: string) => unknown]>([
  ['a FIFO', (artifact) => execFileSync('mkfifo', [artifact])],
  ['a folder', (artifact) => mkdirSync(artifact)],
  ['a socket', (artifact) => execFileSync('python3', ['-c', SOCKET, artifact])],
])('an artifact that is %s is damaged, and nobody waits for it', async (_, make) => {
  mkdirSync(join(path, dump))
  make(join(path, dump, publishedFiles.artifact))
  await expect(storeOf('h1').open(dump)).rejects.toMatchObject({
    code: 'STORE_CORRUPT',
    message: `${join(path, dump)}/vmcore is no regular file`,
  })
})

test('who waits for a folder that hangs hears that it is to end', async () => {
  const store = storeOf('h1')
  const soon = () => {
    const stop = new AbortController()
    setTimeout(() => stop.abort('enough'), 50)
    return stop.signal
  }
  const attempt = await store.begin(dump)
  for (const id of [randomUUID(), randomUUID()]) {
    makeHungDump(id, publishedFiles.report)
    await expect(store.report(id, soon())).rejects.toBe('enough')
  }
  await expect(store.report(dump, soon())).rejects.toBe('enough')
  await expect(store.begin(dump, soon())).rejects.toBe('enough')
  await expect(attempt.remove(soon())).rejects.toBe('enough')
})

test('an attempt that is told to end while it is made durable is not published', async () => {
  const attempt = await folder.begin(dump)
  makeHung(attempt.output)
  await expect(attempt.publish(reportOf(7), delivered, AbortSignal.timeout(200))).rejects.toThrow('timeout')
  expect(existsSync(join(path, dump))).toBe(false)
})
