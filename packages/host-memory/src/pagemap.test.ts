import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PagemapReader } from './pagemap.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-pagemap-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

interface Entry {
  readonly present: boolean
  readonly swapped: boolean
  readonly ofFile: boolean
  /** Where the page is: bits 54 to 0. */
  readonly frame: bigint
}

/** What a reader says of a process with these entries, page by page of 1 KiB. */
function kibibytesOf(entries: readonly Entry[], pageBytes: number, startBytes: number, endBytes: number): string[] {
  const bytes = Buffer.alloc(entries.length * 8)
  entries.forEach(({ present, swapped, ofFile, frame }, index) => {
    const bits = (BigInt(present) << 63n) | (BigInt(swapped) << 62n) | (BigInt(ofFile) << 61n)
    bytes.writeBigUInt64LE(bits | frame, index * 8)
  })
  const path = join(folder, 'pagemap')
  writeFileSync(path, bytes)
  const fd = openSync(path, 'r')
  try {
    const reader = new PagemapReader({ fd, pageBytes, about: 'the test', scan: false })
    return [...reader.runs(startBytes, endBytes)].flatMap((run) =>
      Array<string>((run.endBytes - run.startBytes) / 1024).fill(wordOf(run)),
    )
  } finally {
    closeSync(fd)
  }
}

function wordOf({ present, swapped, ofFile }: Omit<Entry, 'frame'>): string {
  return [present && 'present', swapped && 'swapped', ofFile && 'file'].filter(Boolean).join(' ')
}

const entry = fc.record({
  present: fc.boolean(),
  swapped: fc.boolean(),
  ofFile: fc.boolean(),
  frame: fc.bigInt({ min: 0n, max: 2n ** 55n - 1n }),
})

test.each([4, 16, 64])('entries are those of host pages of %i KiB, wherever a question begins and ends', (pageKiB) => {
  fc.assert(
    fc.property(
      fc.array(entry, { minLength: 1, maxLength: 40 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (entries, a, b) => {
        const most = entries.length * pageKiB
        const [start = 0, end = 0] = [Math.floor(a * most), Math.floor(b * most)].sort((x, y) => x - y)
        const expected = Array.from({ length: end - start }, (_, index) =>
          wordOf(entries[Math.floor((start + index) / pageKiB)] as Entry),
        )
        expect(kibibytesOf(entries, pageKiB * 1024, start * 1024, end * 1024)).toEqual(expected)
      },
    ),
    { numRuns: 60 },
  )
})

test('where pages moved to between two looks changes nothing that is said of them', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(entry, entry), { minLength: 1, maxLength: 40 }), (pairs) => {
      const before = pairs.map(([first]) => first)
      const moved = pairs.map(([first, { frame }]) => ({ ...first, frame }))
      const end = pairs.length * 4096
      expect(kibibytesOf(moved, 4096, 0, end)).toEqual(kibibytesOf(before, 4096, 0, end))
    }),
    { numRuns: 60 },
  )
})
