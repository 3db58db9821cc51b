import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type DumpResource, dumpReport } from '@ullage/dump-job'
import { bootGuest, type LabGuest } from '@ullage/lab'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isAlive, type Running, Service, until } from './start-service.ts'

/** The whole way with nothing doubled: a real guest, a real Redis, the API, the worker and the engine. */
const RESUMED_WITHIN_MS = 2_000

let guest: LabGuest
let service: Service
let worker: Running

beforeAll(async () => {
  guest = await bootGuest({ era: 'bookworm', memMiB: 384, balloonMiB: 128, fillMiB: 128 })
  service = await Service.start()
  service.describe('web-1', { backend: 'virtio-balloon', source: { kind: 'qmp', socket: guest.qmpSocket } })
  worker = await startWorker()
})
afterAll(async () => {
  await service?.[Symbol.asyncDispose]()
  await guest?.[Symbol.asyncDispose]()
})
/** Copies no pages, so that guests stand still for as long as their dumps are written. */
function startWorker(): Promise<Running> {
  const env = { ULLAGE_DUMP_THREADS: '1', ULLAGE_DUMP_MEMORY_BYTES: '0', ULLAGE_SHUTDOWN_SECONDS: '1' }
  return service.startWorker({ env })
}

/** Asks for a dump of much content, slowly compressed, and returns at a moment when the guest stands still for it. */
async function dumpUntilPaused(): Promise<DumpResource> {
  const dump = await service.dump({ guest: 'web-1', level: 0, compression: 'zlib' })
  await until(
    () => `the guest is paused: ${worker.log().slice(-2_000)}`,
    async () => (await guest.status()) === 'paused',
  )
  return dump
}

/** The same at a later moment: pages are being written, and not all are read yet. */
async function dumpUntilWriting(): Promise<DumpResource> {
  const dump = await dumpUntilPaused()
  await until('pages are written', async () => (await service.show(dump.id)).progress?.stage === 'write')
  expect(await guest.status()).toBe('paused')
  return dump
}

/** Does what is done to the guest's dump, and returns after how many milliseconds the guest ran again. */
async function resumedAfter(harm: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await harm()
  await until('the guest runs again', async () => (await guest.status()) === 'running', 30_000)
  return performance.now() - start
}

function dumpProcess(dump: DumpResource): number {
  const started = worker
    .log()
    .split('\n')
    .findLast((line) => line.includes(dump.id) && line.includes('dump process started'))
  return Number(/"pid":(\d+)/.exec(started ?? '')?.[1])
}

async function download(dump: DumpResource, headers: Record<string, string> = {}) {
  const answer = await service.request(`${dump.links.self}/artifact`, { headers })
  return { answer, bytes: Buffer.from(await answer.arrayBuffer()) }
}

/** That a finished dump is whole: the file that is served has the size and digest that were reported. */
async function expectWhole(dump: DumpResource): Promise<void> {
  const { answer, bytes } = await download(dump)
  expect(answer.status).toBe(200)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  expect(dump.result?.artifact).toMatchObject({ sha256, bytes: bytes.length })
  expect(answer.headers.get('etag')).toBe(`"sha256-${sha256}"`)
  expect(bytes.subarray(0, 8).toString()).toBe('KDUMP   ')
}

/** The guest runs, and nothing unfinished lies in the artifacts folder. */
async function expectUnharmed(): Promise<void> {
  expect(await guest.status()).toBe('running')
  expect(service.files().filter((file) => file.startsWith('.partial'))).toEqual([])
}

test('post, follow, download, verify', async () => {
  const posted = await service.dump({ guest: 'web-1' })
  const stream = await (await service.request(posted.links.events)).text()
  const names = [...stream.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name)
  expect(names[0]).toBe('state')
  expect(names.at(-1)).toBe('state')
  const dump = await service.show(posted.id)
  expect(dump).toMatchObject({ state: 'succeeded', attempts: 1, failure: null })
  await expectWhole(dump)

  const report = dumpReport.parse(await (await service.request(`${dump.links.self}/report`)).json())
  expect(report.consistency.mode).toBe('paused')
  expect(report.hostMemory.backedBytesAfter).toBe(report.hostMemory.backedBytesBefore)
  expect(report.frames.byClass.offline?.unbacked).toBeGreaterThanOrEqual((128 << 20) / 4096)
  expect(report.artifact.file).toBe('vmcore')
  const counted = Object.values(report.frames.byClass).flatMap((states) => Object.values(states))
  expect(counted.reduce((sum, frames) => sum + frames, 0)).toBe(report.frames.total)

  const whole = (await download(dump)).bytes
  const half = whole.length >> 1
  const first = await download(dump, { range: `bytes=0-${half - 1}` })
  const rest = await download(dump, { range: `bytes=${half}-` })
  expect([first.answer.status, rest.answer.status]).toEqual([206, 206])
  expect(Buffer.concat([first.bytes, rest.bytes]).equals(whole)).toBe(true)
  await expectUnharmed()
})

test('progress is shown while the dump is made', async () => {
  const posted = await service.dump({ guest: 'web-1', level: 0, compression: 'zlib' })
  const stream = await (await service.request(posted.links.events)).text()
  expect([...stream.matchAll(/^event: progress$/gm)].length).toBeGreaterThan(0)
  expect(stream).toContain('"stage":"write"')
  await service.untilState(posted.id, ['succeeded'])
  await expectUnharmed()
})

test('pages are told without stopping the guest', async () => {
  const pages = await service.request('/v1/guests/web-1/pages')
  expect(pages.status).toBe(200)
  expect(await pages.json()).toMatchObject({ consistency: { mode: 'live' }, frames: { total: (384 << 20) / 4096 } })
  await expectUnharmed()
})

test('an unknown guest is 404', async () => {
  const answer = await service.post({ guest: 'web-2' })
  expect(answer.status).toBe(404)
  expect(await answer.json()).toMatchObject({ code: 'GUEST_UNKNOWN' })
  await expectUnharmed()
})

test('a second dump of the guest is 409; a dump that is cancelled lets the guest run', async () => {
  const dump = await dumpUntilPaused()
  const second = await service.post({ guest: 'web-1' })
  expect(second.status).toBe(409)
  expect(await second.json()).toMatchObject({ code: 'DUMP_ACTIVE', dump: dump.links.self })
  const tookMs = await resumedAfter(async () => {
    await service.request(dump.links.self, { method: 'DELETE' })
  })
  expect(tookMs).toBeLessThan(RESUMED_WITHIN_MS)
  await service.untilState(dump.id, ['cancelled'])
  expect(service.files().filter((file) => file.includes(dump.id))).toEqual([])
  await expectUnharmed()
})

test.each([
  ['at once', dumpUntilPaused],
  ['while pages are written', dumpUntilWriting],
])('kill -9 of the dump process while the guest is paused, %s', async (_when, dumpUntil) => {
  const dump = await dumpUntil()
  const pid = dumpProcess(dump)
  const tookMs = await resumedAfter(async () => {
    process.kill(pid, 'SIGKILL')
  })
  expect(tookMs).toBeLessThan(RESUMED_WITHIN_MS)
  const made = await service.untilState(dump.id, ['succeeded'])
  expect(made).toMatchObject({ attempts: 2 })
  await expectWhole(made)
  await expectUnharmed()
})

test.each(['process', 'group'] as const)('kill -9 of the worker (%s) while the guest is paused', async (whom) => {
  const dump = await dumpUntilPaused()
  const pid = dumpProcess(dump)
  const tookMs = await resumedAfter(() => worker.kill('SIGKILL', whom))
  expect(tookMs).toBeLessThan(RESUMED_WITHIN_MS)
  await until('the dump process is gone', () => !isAlive(pid), RESUMED_WITHIN_MS)
  expect(service.files().filter((file) => file.startsWith(dump.id))).toEqual([])
  worker = await startWorker()
  const made = await service.untilState(dump.id, ['succeeded'])
  expect(made).toMatchObject({ attempts: 2 })
  await expectWhole(made)
  await expectUnharmed()
})

test('SIGTERM of the worker while the guest is paused: the guest runs, the dump is made by the next worker', async () => {
  const dump = await dumpUntilPaused()
  await worker.kill('SIGTERM')
  expect(worker.process.exitCode).toBe(0)
  expect(await guest.status()).toBe('running')
  worker = await startWorker()
  await service.untilState(dump.id, ['succeeded'])
  await expectUnharmed()
})

test('a socket that nobody listens on, and a guest that is not there any more, fail with a reason', async () => {
  const socket = join(service.folder, 'nobody.sock')
  service.describe('nobody', { backend: 'virtio-balloon', source: { kind: 'qmp', socket } })
  await until('it is announced', async () => (await service.request('/v1/guests/nobody')).status === 200)
  const dump = await service.dump({ guest: 'nobody' })
  const failed = await service.untilState(dump.id, ['failed'])
  expect(failed.failure?.message).toContain(socket)
  expect(failed.failure?.message).not.toContain('\n')
  await expectUnharmed()
})

test('what is published can be read by nobody but owner and group', () => {
  const [file] = service.files().filter((name) => name.endsWith('/vmcore'))
  expect(statSync(join(service.artifactsDir, file ?? '')).mode & 0o777).toBe(0o640)
  expect(readFileSync(join(service.artifactsDir, file ?? '')).length).toBeGreaterThan(0)
})

// The last one: it costs the guest.
test('a QEMU that dies while its guest is dumped: the dump fails with a reason and leaves nothing', async () => {
  const dump = await dumpUntilPaused()
  process.kill(guest.pid, 'SIGKILL')
  const failed = await service.untilState(dump.id, ['failed'])
  expect(failed.failure?.code).toMatch(/^(UNAVAILABLE|GUEST_NOT_FOUND)$/)
  expect(failed.failure?.message).not.toContain('\n')
  expect(service.files().filter((file) => file.includes(dump.id))).toEqual([])
})
