import { spawnSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ByteRange, pageSize } from '@ullage/native'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { parseBackingFile } from './backing-file.ts'
import { openFileRam } from './file-ram.ts'

const page = pageSize()
const folder = mkdtempSync(join(tmpdir(), 'ullage-file-ram-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const path = join(folder, 'ram.raw')
const fd = openSync(path, 'w')
writeSync(fd, Buffer.alloc(20 * page, 7))
ftruncateSync(fd, 30 * page)
closeSync(fd)

test('a list of data ranges is believed over the holes of the file', () => {
  const data: ByteRange[] = [
    { startBytes: 2 * page, endBytes: 4 * page },
    { startBytes: 4 * page, endBytes: 5 * page },
    { startBytes: 25 * page, endBytes: 30 * page },
  ]
  using source = openFileRam({ path, offsetBytes: 3 * page, sizeBytes: 24 * page, data })
  expect([...source.backing({ startBytes: 0, endBytes: 24 * page })]).toEqual([
    { startBytes: 0, endBytes: 2 * page, state: 'backed' },
    { startBytes: 2 * page, endBytes: 22 * page, state: 'unbacked' },
    { startBytes: 22 * page, endBytes: 24 * page, state: 'backed' },
  ])
  expect(source.figures()).toEqual({ backedBytes: 4 * page, residentBytes: 4 * page })
  const into = new Uint8Array(page)
  source.read(0, into)
  expect(into.every((byte) => byte === 7)).toBe(true)
})

test('listed data agrees with a naive search, for any range asked', () => {
  const lists = fc
    .uniqueArray(fc.integer({ min: 0, max: 30 * page }), { maxLength: 12 })
    .map((edges) => edges.sort((a, b) => a - b))
    .map((edges) =>
      Array.from({ length: Math.floor(edges.length / 2) }, (_, i) => ({
        startBytes: edges[2 * i] as number,
        endBytes: edges[2 * i + 1] as number,
      })),
    )
  fc.assert(
    fc.property(lists, fc.integer({ min: 0, max: 30 * page }), fc.integer({ min: 0, max: 30 * page }), (data, a, b) => {
      using source = openFileRam({ path, offsetBytes: 0, sizeBytes: 30 * page, data })
      const within = { startBytes: Math.min(a, b), endBytes: Math.max(a, b) }
      const runs = [...source.backing(within)]
      let at = within.startBytes
      for (const run of runs) {
        expect(run.startBytes).toBe(at)
        expect(run.endBytes).toBeGreaterThan(at)
        at = run.endBytes
        for (const probe of [run.startBytes, run.endBytes - 1]) {
          const isData = data.some((range) => range.startBytes <= probe && probe < range.endBytes)
          expect(run.state).toBe(isData ? 'backed' : 'unbacked')
        }
      }
      expect(at).toBe(within.endBytes)
      const overlap = data.reduce(
        (sum, range) =>
          sum + Math.max(0, Math.min(range.endBytes, within.endBytes) - Math.max(range.startBytes, within.startBytes)),
        0,
      )
      const backed = runs.filter((run) => run.state === 'backed')
      expect(backed.reduce((sum, run) => sum + run.endBytes - run.startBytes, 0)).toBe(overlap)
    }),
    { numRuns: 200 },
  )
})

test.each([
  [
    'overlaps',
    [
      [0, 10],
      [9, 20],
    ],
    'data range 1 of PATH, [9, 20), starts before byte 10',
  ],
  [
    'descends',
    [
      [50, 60],
      [10, 20],
    ],
    'data range 1 of PATH, [10, 20), starts before byte 60',
  ],
  ['is empty', [[5, 5]], 'data range 0 of PATH, [5, 5), is not a range of bytes'],
  ['is not whole', [[0.5, 5]], 'is not a range of bytes'],
  ['leaves the file', [[0, 31 * page]], `ends beyond the file's ${30 * page} bytes`],
])('a list that %s is refused', (_how, list, message) => {
  const data = list.map(([startBytes = 0, endBytes = 0]) => ({ startBytes, endBytes }))
  expect(() => openFileRam({ path, offsetBytes: 0, sizeBytes: page, data })).toThrow(
    expect.objectContaining({ code: 'INVALID', message: expect.stringContaining(message.replace('PATH', path)) }),
  )
})

test('what is not a file with that memory in it is refused, and no descriptor is left open', () => {
  const fifo = join(folder, 'fifo')
  spawnSync('mkfifo', [fifo])
  mkdirSync(join(folder, 'directory'))
  const open = readdirSync('/proc/self/fd').length
  const refusals: [string, number, number, string, string][] = [
    [join(folder, 'none'), 0, page, 'NOT_FOUND', 'cannot open'],
    [join(folder, 'directory'), 0, page, 'INVALID', 'is not a regular file'],
    [fifo, 0, page, 'INVALID', 'is not a regular file'],
    ['/dev/zero', 0, page, 'INVALID', 'is not a regular file'],
    [path, 0, 30 * page + 1, 'INVALID', `has only ${30 * page} bytes: the file was truncated, or`],
    [path, 30 * page, page, 'INVALID', `at bytes [${30 * page}, ${31 * page})`],
    [path, -page, page, 'INVALID', 'the offset of guest memory'],
    [path, 0, Number.NaN, 'INVALID', 'the size of guest memory'],
    [path, 0, 0, 'INVALID', 'is empty'],
  ]
  for (const [file, offsetBytes, sizeBytes, code, message] of refusals) {
    expect(() => openFileRam({ path: file, offsetBytes, sizeBytes })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    )
  }
  expect(readdirSync('/proc/self/fd').length).toBe(open)
})

test('a file that is truncated later has no holes there, but an error', () => {
  const cut = join(folder, 'cut.raw')
  copyFileSync(path, cut)
  using source = openFileRam({ path: cut, offsetBytes: 0, sizeBytes: 30 * page })
  truncateSync(cut, 10 * page)
  expect(() => [...source.backing({ startBytes: 0, endBytes: 12 * page })]).toThrow(
    expect.objectContaining({ code: 'GONE', message: expect.stringContaining(`truncated to ${10 * page} bytes`) }),
  )
  expect(() => source.figures()).toThrow(expect.objectContaining({ code: 'GONE' }))
  expect([...source.backing({ startBytes: 0, endBytes: 4 * page })]).toEqual([
    { startBytes: 0, endBytes: 4 * page, state: 'backed' },
  ])
})

test('backing.json gives the ranges of each region, or an error that says where it is wrong', () => {
  const options = { about: 'backing.json', regions: 2 }
  expect(parseBackingFile(Buffer.from('{"regions": [[[0, 4096], [8192, 12288]], []]}'), options)).toEqual([
    [
      { startBytes: 0, endBytes: 4096 },
      { startBytes: 8192, endBytes: 12288 },
    ],
    [],
  ])
  const wrong: [string, string][] = [
    ['{"regions": [[]]}', 'expected the ranges of 2 regions, found those of 1'],
    ['{"region": [[], []]}', 'expected { "regions":'],
    ['[]', 'expected { "regions":'],
    ['{', 'backing.json is not JSON'],
    ['{"regions": [[], {}]}', 'regions[1] is not a list of ranges'],
    ['{"regions": [[], [[0, 1], [1]]]}', 'regions[1][1] should be [startByte, endByte], found [1]'],
    ['{"regions": [[], [[0, "1"]]]}', 'found [0,"1"]'],
    ['{"regions": [[], [null]]}', 'found null'],
  ]
  for (const [text, message] of wrong) {
    expect(() => parseBackingFile(Buffer.from(text), options)).toThrow(
      expect.objectContaining({ code: 'INVALID', message: expect.stringContaining(message) }),
    )
  }
})
