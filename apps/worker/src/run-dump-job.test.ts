import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type ArtifactStore, type Attempt, StoreError } from '@ullage/artifact-store'
import { dumpJob } from '@ullage/dump-job'
import { type Job, WaitingError } from 'bullmq'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { findDescriptor } from './guest-folder.ts'
import { type DumpJobContext, runDumpJob, stopReasons } from './run-dump-job.ts'
import { SpaceLedger } from './space-ledger.ts'
import { readWorkerConfig } from './worker-config.ts'
import { WorkerMetrics } from './worker-metrics.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-dump-job-'))
  writeFileSync(join(folder, 'web-1.json'), '{}')
})
afterAll(() => rmSync(folder, { recursive: true }))

/** An attempt at a dump with these parts of a store, by a child that dies at once. */
function run(store: Partial<ArtifactStore>, signal = new AbortController().signal, log = pino({ level: 'silent' })) {
  const config = readWorkerConfig({
    ULLAGE_REDIS_URL: 'unix:///nowhere',
    ULLAGE_GUESTS_DIR: folder,
    ULLAGE_STATE_DIR: folder,
    ULLAGE_ARTIFACTS_DIR: folder,
  })
  const id = randomUUID()
  const data = dumpJob.parse({ schema: 'ullage.job/1', dump: id, guest: 'web-1', tenant: null, options: {} })
  const job = {
    id,
    data,
    attemptsMade: 0,
    attemptsStarted: 1,
    moveToWait: async () => undefined,
    extendLock: async () => 1,
  }
  const context: Partial<DumpJobContext> = {
    config,
    redis: { exists: async () => 0 } as unknown as DumpJobContext['redis'],
    artifacts: { report: async () => undefined, ...store } as ArtifactStore,
    childModule: new URL('./no-such-module.ts', import.meta.url),
    log,
    announce: () => undefined,
    metrics: new WorkerMetrics(),
    space: new SpaceLedger({ keepFreeBytes: 0 }),
  }
  return runDumpJob(context as DumpJobContext, job as unknown as Job, 'token', signal)
}

/** Never answers, and heeds the signal. */
const hang = (signal?: AbortSignal) =>
  new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true }))

test.each([
  ['its report', { report: (_: string, signal?: AbortSignal) => hang(signal) }],
  ['its beginning', { begin: (_: string, signal?: AbortSignal) => hang(signal) }],
])('an attempt that waits for the store, for %s, hears that it is to end', async (_, store) => {
  const abortedWith = (reason: string) => {
    const stop = new AbortController()
    setTimeout(() => stop.abort(reason), 50)
    return stop.signal
  }
  await expect(run(store, abortedWith(stopReasons.shutdown))).rejects.toBeInstanceOf(WaitingError)
  await expect(run(store, abortedWith(stopReasons.cancelled))).rejects.toThrow('CANCELLED: cancelled while it ran')
  await expect(run(store, abortedWith(stopReasons.lockLost))).rejects.toThrow('LOCK_LOST')
})

test('an attempt that waits for a guests folder which hangs hears that it is to end', async () => {
  const hung = Promise.withResolvers<void>()
  const before = findDescriptor(folder, 'web-2', undefined, () => hung.promise)
  const stop = new AbortController()
  setTimeout(() => stop.abort(stopReasons.cancelled), 50)
  try {
    await expect(run({}, stop.signal)).rejects.toThrow('CANCELLED: cancelled while it ran')
  } finally {
    hung.resolve()
    await before
  }
})

const attemptWith = (remove: Attempt['remove']): Pick<ArtifactStore, 'begin'> => ({
  begin: async () => ({
    output: join(folder, 'vmcore'),
    delivery: { kind: 'inPlace' },
    publish: () => Promise.reject(new Error('nothing to publish')),
    remove,
  }),
})

test('a store that hangs while it removes an attempt does not keep the worker', async () => {
  let told: AbortSignal | undefined
  const remove: Attempt['remove'] = (signal) => {
    told = signal
    return hang(signal)
  }
  const stop = new AbortController()
  const ended = run(attemptWith(remove), stop.signal)
  await vi.waitUntil(() => told !== undefined, 20_000)
  stop.abort(stopReasons.shutdown)
  await expect(ended).rejects.toBeInstanceOf(WaitingError)
  expect(told?.aborted).toBe(true)
})

test('what an attempt left is removed also by a disk that takes its time', async () => {
  let removed = false
  const remove: Attempt['remove'] = async (signal) => {
    await delay(3_000, undefined, { signal: signal as AbortSignal })
    removed = true
  }
  await expect(run(attemptWith(remove))).rejects.toThrow('CHILD_DIED')
  expect(removed).toBe(true)
})

test('what an attempt failed of is told, also when the store cannot remove what it left, which the log has', async () => {
  const lines: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
  const remove = () => Promise.reject(new Error('the disk is gone'))
  await expect(run(attemptWith(remove), undefined, log)).rejects.toThrow('CHILD_DIED')
  expect(lines.join('')).toContain('the disk is gone')
})

test('what a key command said is in the log, and in nothing that is kept in Redis', async () => {
  const lines: string[] = []
  const log = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) })
  const cause = new Error('it said on stderr: refused')
  const begin = () =>
    Promise.reject(new StoreError('KEY_UNAVAILABLE', 'the key command kms ended with status 3', { cause }))
  const failure: unknown = await run({ begin }, undefined, log).catch((thrown: unknown) => thrown)
  expect(failure).toMatchObject({ message: 'KEY_UNAVAILABLE: the key command kms ended with status 3' })
  expect(failure).toMatchObject({ stack: expect.not.stringContaining('refused') })
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ cause: 'it said on stderr: refused' })
})
