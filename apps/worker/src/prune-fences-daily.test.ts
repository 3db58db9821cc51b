import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { raiseFence } from './attempt-fence.ts'
import { pruneFencesDaily } from './prune-fences-daily.ts'

const DAY_MS = 24 * 3600 * 1000

let parent: string
let folder: string
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'ullage-fences-'))
  folder = join(parent, 'locks')
  mkdirSync(folder)
})
afterEach(() => rmSync(parent, { recursive: true }))

function put(name: string, daysOld: number): void {
  writeFileSync(join(folder, name), '')
  const when = new Date(Date.now() - daysOld * DAY_MS)
  utimesSync(join(folder, name), when, when)
}

test('fences that nobody has touched for two weeks go while a worker runs, younger ones and other files stay', async () => {
  using _ = pruneFencesDaily({ folder, log: { warn: () => undefined }, everyMs: 10 })
  put('a.fence', 15)
  put('b.fence', 13)
  put('h1.worker', 15)
  await expect.poll(() => readdirSync(folder).sort()).toEqual(['b.fence', 'h1.worker'])
  put('c.fence', 15)
  await expect.poll(() => existsSync(join(folder, 'c.fence'))).toBe(false)
})

test('an attempt whose fence has gone publishes nothing', async () => {
  const fence = await raiseFence(folder, 'a', { queuedMs: 1, attempt: 1 })
  const when = new Date(Date.now() - 15 * DAY_MS)
  utimesSync(join(folder, 'a.fence'), when, when)
  using _ = pruneFencesDaily({ folder, log: { warn: () => undefined }, everyMs: 10 })
  await expect.poll(() => readdirSync(folder)).toEqual([])
  let isPublished = false
  const publish = async () => {
    isPublished = true
  }
  await expect(fence.pass(publish)).rejects.toThrow('this attempt may not publish what it makes')
  expect(isPublished).toBe(false)
})

test('a folder that is away for a time is said to be, and fences go when it is there again', async () => {
  const said: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void said.push(line) })
  rmSync(folder, { recursive: true })
  using _ = pruneFencesDaily({ folder, log, everyMs: 10 })
  await expect.poll(() => said.join('')).toContain('fences of dumps that ended are still there')
  mkdirSync(folder)
  put('a.fence', 15)
  await expect.poll(() => readdirSync(folder)).toEqual([])
})

test('nothing goes once it is disposed of', async () => {
  pruneFencesDaily({ folder, log: { warn: () => undefined }, everyMs: 10 })[Symbol.dispose]()
  put('a.fence', 15)
  await delay(50)
  expect(readdirSync(folder)).toEqual(['a.fence'])
})
