import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hostAliveKey } from '@ullage/dump-job'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { announceHost, type AnnounceHostOptions } from './announce-host.ts'
import { GuestFolder } from './guest-folder.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-announce-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** What takes every write as `write` has it, and says which keys it was asked to delete. */
function redisWith(write: () => Promise<unknown>) {
  const deleted: string[] = []
  const del = (key: string) => {
    deleted.push(key)
    return write()
  }
  const redis = { sadd: write, pexpire: write, set: write, srem: write, del }
  return { deleted, redis: redis as unknown as AnnounceHostOptions['redis'] }
}

function announce(redis: AnnounceHostOptions['redis'], more: Partial<AnnounceHostOptions> = {}) {
  return announceHost({
    redis,
    host: 'h1',
    instance: 'one',
    concurrency: 1,
    rememberedMs: 60_000,
    folder: new GuestFolder(folder, async () => ({ backend: 'xen' })),
    consuming: () => true,
    log: pino({ level: 'silent' }),
    ...more,
  })
}

test('a first heartbeat that Redis refuses keeps nobody from starting, is told, and is tried again', async () => {
  let isFull = true
  const { redis } = redisWith(async () => {
    if (isFull) throw new Error("OOM command not allowed when used memory > 'maxmemory'.")
    return null
  })
  const refused: unknown[] = []
  const beaten = Promise.withResolvers<void>()
  await using _ = await announce(redis, { onNoBeat: (error) => refused.push(error), onBeat: () => beaten.resolve() })
  expect(String(refused[0])).toContain('OOM')
  isFull = false
  await beaten.promise
})

test('who ends does not wait for a Redis that is away, nor for a guests folder that hangs', async () => {
  let isAway = false
  const { redis, deleted } = redisWith(() => (isAway ? new Promise<never>(() => undefined) : Promise.resolve(null)))
  const announced = await announce(redis)
  isAway = true
  const begun = performance.now()
  await announced[Symbol.asyncDispose]()
  expect(performance.now() - begun).toBeLessThan(5_000)
  expect(deleted).toEqual([hostAliveKey('h1')])
})

test('a host is said to be gone though its guests folder hangs, and not said to be there once that answers', async () => {
  const hung = Promise.withResolvers<{ guests: []; ignored: [] }>()
  const written: unknown[] = []
  const { redis, deleted } = redisWith(async () => written.push('write'))
  const announced = await announce(redis, { folder: { list: () => hung.promise } as unknown as GuestFolder })
  await announced[Symbol.asyncDispose]()
  expect(deleted).toEqual([hostAliveKey('h1')])
  hung.resolve({ guests: [], ignored: [] })
  await new Promise(setImmediate)
  expect(written).toEqual(['write'])
})

test('a farewell that Redis refuses is no fault of who ends', async () => {
  let isFull = false
  const { redis } = redisWith(async () => {
    if (isFull) throw new Error('MISCONF Errors writing to the AOF file: No space left on device')
    return null
  })
  const announced = await announce(redis)
  isFull = true
  await expect(announced[Symbol.asyncDispose]()).resolves.toBeUndefined()
})
