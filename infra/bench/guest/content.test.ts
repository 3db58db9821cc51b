import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { madeRecords } from './made-records.ts'
import { measureContent } from './measure-content.ts'
import { realFiles } from './real-files.ts'
import { refuseUnfitContent } from './refuse-unfit-content.ts'

const PAGE = 4096
let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-content-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function putFiles(count: number): void {
  for (let i = 0; i < count; i++) {
    const inside = join(folder, `folder-${i % 5}`)
    mkdirSync(inside, { recursive: true })
    writeFileSync(join(inside, `file-${i}`), `${i} `.repeat(2000))
  }
}

test('files come from all of a folder, none twice, until enough are there', () => {
  putFiles(50)
  writeFileSync(join(folder, 'folder-0', 'copy'), '7 '.repeat(2000))
  const seen = new Set<string>()
  const all = [...realFiles({ folder, wantedBytes: 1e9 }, seen)].map((content) => content.toString('latin1'))
  expect(all).toHaveLength(50)
  expect(new Set(all).size).toBe(50)
  expect([...realFiles({ folder, wantedBytes: 1e9 }, seen)]).toEqual([])
  const wantedBytes = 50_000
  const some = [...realFiles({ folder, wantedBytes }, new Set())]
  expect(some.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(wantedBytes * 0.8)
  expect(some.length).toBeLessThan(15)
  // Files of the last folder are among them.
  expect(some.some((content) => Number.parseInt(content.toString('latin1', 0, 4), 10) % 5 === 4)).toBe(true)
})

test('made records are the same for the same seed, and no piece is like another', () => {
  const pieces = (seed: number): Buffer[] => [...madeRecords(seed).take(40)]
  expect(Buffer.concat(pieces(1)).equals(Buffer.concat(pieces(1)))).toBe(true)
  expect(Buffer.concat(pieces(1)).equals(Buffer.concat(pieces(2)))).toBe(false)
  expect(new Set(pieces(1).map((piece) => piece.toString('latin1'))).size).toBe(40)
})

test('zeros, duplicates and the lzo ratio of a memory are told', () => {
  const path = join(folder, 'ram')
  const page = (of: Buffer): Buffer => of.subarray(0, PAGE)
  const [noise, letters] = [readFileSync(process.execPath).subarray(1 << 20, (1 << 20) + PAGE), Buffer.alloc(PAGE, 'a')]
  writeFileSync(path, Buffer.concat([page(noise), Buffer.alloc(PAGE), page(letters), page(noise)]))
  truncateSync(path, 8 * PAGE)
  const found = measureContent(path, [{ startByte: 0, endByte: 4 * PAGE }])
  expect(found).toMatchObject({ backedPages: 4, nonZeroPages: 3 })
  expect(found.duplicateShare).toBeCloseTo(1 / 3)
  const single = (at: number): number =>
    measureContent(path, [{ startByte: at * PAGE, endByte: (at + 1) * PAGE }]).lzoRatio
  expect(single(2)).toBeGreaterThan(20)
  expect(found.lzoRatio).toBeCloseTo(3 / (2 / single(0) + 1 / single(2)))
})

test('a memory that is too small, too even or too much alike is refused', () => {
  const size = { memMiB: 4096, balloonMiB: 1024, contentMiB: 1792 }
  const fit = { backedPages: 500_000, nonZeroPages: 450_000, lzoRatio: 1.8, duplicateShare: 0.02 }
  expect(() => refuseUnfitContent(fit, size)).not.toThrow()
  for (const unfit of [{ nonZeroPages: 393_215 }, { lzoRatio: 1.4 }, { lzoRatio: 2.6 }, { duplicateShare: 0.2 }]) {
    expect(() => refuseUnfitContent({ ...fit, ...unfit }, size)).toThrow(/expected/)
  }
})
