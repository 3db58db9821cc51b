import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { dumpOptions } from '@ullage/dump-job'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runChild } from '../src/run-child.ts'
import { type SpaceClaim, SpaceLedger } from '../src/space-ledger.ts'
import { isAlive, until } from './start-service.ts'

/** The process of one dump, with a double of the engine in it. */
const module = new URL('./engine-double-child.ts', import.meta.url)
const log = pino({ level: 'silent' })
let folder: string
let asked = 0

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-child-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function dump(
  attempt: string,
  options: { signal?: AbortSignal; silenceMs?: number; tenant?: string; askedFor?: string; space?: SpaceClaim } = {},
) {
  const name = `guest-${asked++}`
  const descriptor = join(folder, `${name}.json`)
  const counter = join(folder, `${name}.attempts`)
  writeFileSync(
    descriptor,
    JSON.stringify({ backend: 'test-double', tenant: options.tenant, attempts: [attempt], counter }),
  )
  const output = join(folder, `${name}.vmcore`)
  let pid = 0
  const progress: string[] = []
  const answer = runChild(
    {
      task: 'dump',
      guest: name,
      tenant: options.askedFor ?? null,
      descriptor,
      stateDir: folder,
      guardianScope: 'session',
      output,
      delivery: { kind: 'inPlace' },
      keepFreeBytes: 0,
      options: dumpOptions.parse({}),
    },
    {
      module,
      silenceMs: options.silenceMs ?? 30_000,
      log,
      onStart: (started) => {
        pid = started
      },
      onProgress: ({ stage }) => progress.push(stage),
      ...(options.signal && { signal: options.signal }),
      ...(options.space && { space: options.space }),
    },
  )
  return { answer, output, progress, pid: () => pid }
}

test('a child that did its work is gone when its answer is here', async () => {
  const { answer, pid, progress } = dump('succeed')
  expect(await answer).toMatchObject({ say: 'dumped', report: { schema: 'ullage.report/1' } })
  expect(isAlive(pid())).toBe(false)
  expect(progress).toEqual(['write', 'verify'])
})

test.each([
  ['crash', 'CHILD_DIED', /SIGSEGV/],
  ['exit', 'CHILD_DIED', /exit status 3/],
  ['unavailable', 'UNAVAILABLE', /the double is away/],
  ['odd', 'INTERNAL', /something nobody thought of/],
])('%s is told as %s', async (attempt, code, message) => {
  const { answer } = dump(attempt)
  await expect(answer).rejects.toMatchObject({ failure: { code, message: expect.stringMatching(message) } })
})

test.each(['silent', 'block'])('a child that is %s is ended', async (attempt) => {
  const { answer, pid } = dump(attempt, { silenceMs: 1_500 })
  await expect(answer).rejects.toMatchObject({ failure: { code: 'CHILD_SILENT' } })
  expect(isAlive(pid())).toBe(false)
})

test('a child that is cancelled ends in order', async () => {
  const cancel = new AbortController()
  const { answer, output, progress, pid } = dump('hang', { signal: cancel.signal })
  const ended = answer.catch((error: unknown) => error)
  await until('it is at work', () => progress.length > 0)
  cancel.abort()
  expect(await ended).toMatchObject({ failure: { code: 'CANCELLED' } })
  expect(isAlive(pid())).toBe(false)
  expect(existsSync(output)).toBe(false)
})

test('one that was cancelled before it began does not begin', async () => {
  const { answer, pid } = dump('succeed', { signal: AbortSignal.abort() })
  await expect(answer).rejects.toMatchObject({ failure: { code: 'CANCELLED' } })
  expect(pid()).toBe(0)
})

test('a child keeps none of the settings of the worker', async () => {
  process.env.ULLAGE_REDIS_URL = 'redis://:secret@r'
  process.env.AWS_SECRET_ACCESS_KEY = 'secret'
  try {
    const cancel = new AbortController()
    const { answer, progress, pid } = dump('hang', { signal: cancel.signal })
    const ended = answer.catch((error: unknown) => error)
    await until('it is at work', () => progress.length > 0)
    expect(readFileSync(`/proc/${pid()}/environ`, 'utf8')).not.toContain('secret')
    cancel.abort()
    expect(await ended).toMatchObject({ failure: { code: 'CANCELLED' } })
  } finally {
    delete process.env.ULLAGE_REDIS_URL
    delete process.env.AWS_SECRET_ACCESS_KEY
  }
})

test.each([
  ['other', 'acme'],
  [undefined, 'acme'],
  ['other', undefined],
])('a guest that belongs to %s is not dumped for %s', async (tenant, askedFor) => {
  const { answer, output } = dump('succeed', { ...(tenant && { tenant }), ...(askedFor && { askedFor }) })
  await expect(answer).rejects.toMatchObject({ failure: { code: 'GUEST_NOT_FOUND' } })
  expect(existsSync(output)).toBe(false)
})

test('a guest is dumped for the tenant to whom it belongs', async () => {
  const { answer } = dump('succeed', { tenant: 'acme', askedFor: 'acme' })
  expect(await answer).toMatchObject({ say: 'dumped' })
})

/** A claim in a ledger in which another dump has all the space there is, and how often it had to wait. */
async function claimOfFull() {
  const look = async () => ({ fileSystem: 0, freeBytes: 1_000 })
  const ledger = new SpaceLedger({ keepFreeBytes: 0, lookEveryMs: 50, look })
  const other = ledger.claim()
  const needs = [{ folder: '/', atLeastBytes: 0, atMostBytes: 1_000 }]
  await other.reserve(needs, { signal: new AbortController().signal })
  const claim = ledger.claim()
  const waits = { count: 0 }
  const space: SpaceClaim = {
    reserve: (asked, { onWait, ...options }) =>
      claim.reserve(asked, {
        ...options,
        onWait: (why) => {
          waits.count++
          onWait?.(why)
        },
      }),
    left: (left) => claim.left(left),
    [Symbol.dispose]: () => claim[Symbol.dispose](),
  }
  return { other, ledger, space, waits }
}

test('a child that waits for space is not taken for silent, and works when there is some', async () => {
  const { other, space, waits } = await claimOfFull()
  const silenceMs = 10_000
  const { answer, progress } = dump('succeed', { silenceMs, space })
  const ended = answer.catch((error: unknown) => error)
  await until('it waits', () => waits.count > 0)
  await delay(silenceMs + 1_000)
  expect(progress).toEqual([])
  other[Symbol.dispose]()
  expect(await ended).toMatchObject({ say: 'dumped' })
})

test('a child that dies while it waits for space gives its turn away', async () => {
  const { other, ledger, space, waits } = await claimOfFull()
  const { answer, pid } = dump('succeed', { space })
  const ended = answer.catch((error: unknown) => error)
  await until('it waits', () => waits.count > 0)
  process.kill(pid(), 'SIGKILL')
  expect(await ended).toMatchObject({ failure: { code: 'CHILD_DIED' } })
  other[Symbol.dispose]()
  const next = dump('succeed', { space: ledger.claim() })
  expect(await next.answer).toMatchObject({ say: 'dumped' })
})

test('a child that is cancelled while it waits for space ends in order', async () => {
  const { space, waits } = await claimOfFull()
  const cancel = new AbortController()
  const { answer, output } = dump('succeed', { signal: cancel.signal, space })
  const ended = answer.catch((error: unknown) => error)
  await until('it waits', () => waits.count > 0)
  const start = performance.now()
  cancel.abort()
  expect(await ended).toMatchObject({ failure: { code: 'CANCELLED' } })
  // It was not killed.
  expect(performance.now() - start).toBeLessThan(9_000)
  expect(existsSync(output)).toBe(false)
})

test('a child for which there is no space says why', async () => {
  const look = async () => ({ fileSystem: 0, freeBytes: 0 })
  const ledger = new SpaceLedger({ keepFreeBytes: 1, look })
  const { answer, output } = dump('succeed', { space: ledger.claim() })
  await expect(answer).rejects.toMatchObject({
    failure: { code: 'NO_SPACE', message: expect.stringMatching(/^the dump takes 0 to 21 bytes where .+, 0 are free/) },
  })
  expect(existsSync(output)).toBe(false)
})
