import type { LabGuest } from '@ullage/lab'
import { dataRanges } from '@ullage/native'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HoleMap } from './hole-map.ts'

const PAGE = 4096
const SIZE = 16 * PAGE

let folder = ''
let ram = ''
let guest: LabGuest

beforeEach(() => {
  folder = mkdtempSync('/dev/shm/ullage-hole-map-')
  ram = join(folder, 'ram')
  writeFileSync(ram, '')
  truncateSync(ram, SIZE)
  put(2, 3, 'a')
  put(9, 1, 'b')
  guest = { backedRanges: () => [backed()] } as Pick<LabGuest, 'backedRanges'> as LabGuest
})
afterEach(() => rmSync(folder, { recursive: true }))

function put(page: number, pages: number, letter: string): void {
  const fd = openSync(ram, 'r+')
  writeSync(fd, Buffer.alloc(pages * PAGE, letter), 0, pages * PAGE, page * PAGE)
  closeSync(fd)
}

function backed(): ReturnType<LabGuest['backedRanges']>[number] {
  const fd = openSync(ram, 'r')
  try {
    const found = [...dataRanges(fd, { startBytes: 0, endBytes: SIZE })]
    const ranges = found.map(({ startBytes, endBytes }) => ({ startByte: startBytes, endByte: endBytes }))
    return { file: ram, sizeBytes: SIZE, allocatedBytes: statSync(ram).blocks * 512, ranges }
  } finally {
    closeSync(fd)
  }
}

test('holes that were filled are holes again, and content stays', () => {
  const holes = new HoleMap(guest)
  expect(holes.backedBytes).toBe(4 * PAGE)
  const before = readFileSync(ram)
  for (const page of [0, 1, 5, 8, 10, 15]) put(page, 1, '\0')
  expect(() => holes.assertUnchanged('now')).toThrow(/not what they were, now: 16384 bytes backed at first, 40960 now/)
  holes.restore()
  expect(backed().ranges).toEqual([
    { startByte: 2 * PAGE, endByte: 5 * PAGE },
    { startByte: 9 * PAGE, endByte: 10 * PAGE },
  ])
  expect(readFileSync(ram).equals(before)).toBe(true)
})

test('content that went away is not brought back, and said', () => {
  const holes = new HoleMap(guest)
  truncateSync(ram, 9 * PAGE)
  truncateSync(ram, SIZE)
  expect(() => holes.restore()).toThrow(/after its holes were punched again/)
})
