import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type ByteRange, dataRanges } from '@ullage/native'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { KnownData } from './known-data.ts'

const PAGE = 4096
const whole = { startBytes: 0, endBytes: 64 * PAGE }
/** So long after a change a file is one that is not being changed. */
const SETTLED_MS = 1100

let folder: string
let fd: number
let walks: number

const known = (): KnownData =>
  new KnownData(fd, whole, (within) => {
    walks++
    return dataRanges(fd, within)
  })
const pages = (ranges: Iterable<ByteRange>): number[][] =>
  [...ranges].map(({ startBytes, endBytes }) => [startBytes / PAGE, endBytes / PAGE])

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-known-'))
  fd = openSync(join(folder, 'ram'), 'w+')
  ftruncateSync(fd, whole.endBytes)
  for (const page of [3, 4, 40]) writeSync(fd, Buffer.alloc(PAGE, 1), 0, PAGE, page * PAGE)
  await delay(SETTLED_MS)
})
beforeEach(() => {
  walks = 0
})
afterAll(() => {
  closeSync(fd)
  rmSync(folder, { recursive: true })
})

test('a file that does not change is walked once, and parts of it are cut from what was found', () => {
  const data = known()
  for (let i = 0; i < 3; i++) {
    expect(pages(data.ranges(whole))).toEqual([
      [3, 5],
      [40, 41],
    ])
  }
  expect(pages(data.ranges({ startBytes: 4 * PAGE, endBytes: 40 * PAGE }))).toEqual([[4, 5]])
  expect(walks).toBe(1)
})

test('a walk of a part, or one that was broken off, is no knowledge of the whole', () => {
  const data = known()
  pages(data.ranges({ startBytes: 0, endBytes: 40 * PAGE }))
  for (const _ of data.ranges(whole)) break
  expect(pages(data.ranges(whole))).toHaveLength(2)
  expect(walks).toBe(3)
})

test('one that has changed is walked again, and always as long as it has changed just now', async () => {
  const data = known()
  pages(data.ranges(whole))
  writeSync(fd, Buffer.alloc(PAGE, 1), 0, PAGE, 50 * PAGE)
  for (let i = 0; i < 2; i++) expect(pages(data.ranges(whole))).toHaveLength(3)
  expect(walks).toBe(3)
  await delay(SETTLED_MS)
  for (let i = 0; i < 2; i++) expect(pages(data.ranges(whole))).toHaveLength(3)
  expect(walks).toBe(4)
})
