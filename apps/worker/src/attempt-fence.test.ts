import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { pruneFences, raiseFence } from './attempt-fence.ts'

const dump = randomUUID()
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-fence-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('of two attempts the one that began last publishes, once', async () => {
  const published: string[] = []
  const first = await raiseFence(folder, dump, { queuedMs: 1000, attempt: 1 })
  const second = await raiseFence(folder, dump, { queuedMs: 1000, attempt: 2 })
  await expect(first.pass(async () => published.push('first'))).rejects.toThrow('attempt 2 has begun')
  await second.pass(async () => published.push('second'))
  await expect(second.pass(async () => published.push('again'))).rejects.toThrow('another attempt has ended it')
  await expect(first.pass(async () => published.push('first'))).rejects.toThrow('another attempt has ended it')
  expect(published).toEqual(['second'])
})

test('an attempt that begins after a later one has no fence', async () => {
  await raiseFence(folder, dump, { queuedMs: 1000, attempt: 2 })
  await expect(raiseFence(folder, dump, { queuedMs: 1000, attempt: 1 })).rejects.toThrow(
    'attempt 2 has begun, this one is 1',
  )
})

test('a job that was queued anew begins from the first attempt', async () => {
  const before = await raiseFence(folder, dump, { queuedMs: 1000, attempt: 5 })
  for (const queuedMs of [2000, 500]) {
    const now = await raiseFence(folder, dump, { queuedMs, attempt: 1 })
    await expect(before.pass(async () => 'before')).rejects.toThrow('attempt 1 has begun')
    if (queuedMs === 500) expect(await now.pass(async () => 'now')).toBe('now')
  }
})

test('fences that nobody has touched for long go, others stay', async () => {
  await raiseFence(folder, dump, { queuedMs: 1000, attempt: 1 })
  writeFileSync(join(folder, 'h1.worker'), '')
  await pruneFences(folder, 60_000)
  expect(readdirSync(folder)).toHaveLength(2)
  utimesSync(join(folder, `${dump}.fence`), 1, 1)
  utimesSync(join(folder, 'h1.worker'), 1, 1)
  await pruneFences(folder, 60_000)
  expect(readdirSync(folder)).toEqual(['h1.worker'])
})

test('nobody begins while another one publishes, and what it published is then no longer its own', async () => {
  const first = await raiseFence(folder, dump, { queuedMs: 1000, attempt: 1 })
  const seen: string[] = []
  const begins = Promise.withResolvers<void>()
  const publishing = first.pass(async () => {
    begins.resolve()
    await delay(200)
    seen.push('published')
  })
  await begins.promise
  const second = raiseFence(folder, dump, { queuedMs: 1000, attempt: 2 }).then((fence) => {
    seen.push('begun')
    return fence
  })
  await publishing
  await second
  expect(seen).toEqual(['published', 'begun'])
})

test('a publication that fails leaves the fence, and one that succeeds takes it away', async () => {
  const fence = await raiseFence(folder, dump, { queuedMs: 1000, attempt: 1 })
  const full = async () => {
    throw new Error('the disk is full')
  }
  await expect(fence.pass(full)).rejects.toThrow('the disk is full')
  expect(await fence.pass(async () => 'published')).toBe('published')
  expect(readdirSync(folder)).toEqual([])
})

test('who waits for a fence that another attempt holds hears that it is to end, and raises none', async () => {
  const first = await raiseFence(folder, dump, { queuedMs: 1000, attempt: 1 })
  const stop = new AbortController()
  const second = first.pass(async () => {
    const waiting = raiseFence(folder, dump, { queuedMs: 1000, attempt: 2 }, stop.signal)
    setTimeout(() => stop.abort('enough'), 50)
    await expect(waiting).rejects.toBe('enough')
    return 'published'
  })
  expect(await second).toBe('published')
  // It left no trace: the next one is not kept by it.
  await raiseFence(folder, dump, { queuedMs: 1000, attempt: 1 })
})
