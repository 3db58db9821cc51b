import { closeSync, fstatSync, ftruncateSync, writeSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dataRanges, seekData, seekHole } from './data-ranges.ts'
import { punchHole, reserveSpace } from './file-space.ts'
import { memfdCreate } from './memfd-create.ts'
import { pageSize } from './page-size.ts'

const page = pageSize()

function withMemfd<T>(use: (fd: number) => T): T {
  const fd = memfdCreate('ullage-test')
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}

test('finds exactly the pages that were written, over random files', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: 63 }), { maxLength: 40 }),
      fc.integer({ min: 0, max: 64 * page }),
      fc.integer({ min: 0, max: 64 * page }),
      (written, startBytes, endBytes) => {
        withMemfd((fd) => {
          ftruncateSync(fd, 64 * page)
          for (const index of written) writeSync(fd, 'x', index * page)
          const seen = [...dataRanges(fd, { startBytes, endBytes })]
          const expected: number[] = []
          for (let at = startBytes; at < endBytes; at++) if (written.includes(Math.floor(at / page))) expected.push(at)
          const bytes = seen.reduce((sum, range) => sum + range.endBytes - range.startBytes, 0)
          expect(bytes).toBe(expected.length)
          seen.forEach((range, i) => {
            expect(range.endBytes).toBeGreaterThan(range.startBytes)
            if (i > 0) expect(range.startBytes).toBeGreaterThan(seen[i - 1]?.endBytes ?? -1)
            expect(written).toContain(Math.floor(range.startBytes / page))
          })
        })
      },
    ),
    { numRuns: 30 },
  )
})

test('offsets beyond 4 GiB and 8 TiB are exact', () => {
  withMemfd((fd) => {
    const far = 2 ** 43 + 5 * page
    ftruncateSync(fd, 2 ** 43 + 2 ** 20)
    writeSync(fd, 'x', 2 ** 32 + page)
    writeSync(fd, 'x', far)
    expect(seekData(fd, 0)).toBe(2 ** 32 + page)
    expect(seekHole(fd, 2 ** 32 + page)).toBe(2 ** 32 + 2 * page)
    expect(seekData(fd, 2 ** 32 + 2 * page)).toBe(far)
    expect(seekHole(fd, far)).toBe(far + page)
    expect(seekData(fd, far + page)).toBeUndefined()
    expect(seekHole(fd, 2 ** 43 + 2 ** 20)).toBeUndefined()
  })
})

test('a punched hole is a hole, and what is only reserved is one too, though it counts as space', () => {
  withMemfd((fd) => {
    ftruncateSync(fd, 8 * page)
    writeSync(fd, Buffer.alloc(8 * page, 1), 0, 8 * page, 0)
    punchHole(fd, 2 * page, 3 * page)
    expect([...dataRanges(fd, { startBytes: 0, endBytes: 8 * page })]).toEqual([
      { startBytes: 0, endBytes: 2 * page },
      { startBytes: 5 * page, endBytes: 8 * page },
    ])
    const before = fstatSync(fd).blocks
    reserveSpace(fd, 2 * page, page)
    expect(fstatSync(fd).blocks - before).toBe(page / 512)
    expect(fstatSync(fd).size).toBe(8 * page)
    expect(seekData(fd, 2 * page)).toBe(5 * page)
  })
})

test('a bad descriptor and a pipe give an error shaped like those of Node', () => {
  expect(() => seekData(0x7fff_fff0, 0)).toThrow(
    expect.objectContaining({ code: 'EBADF', syscall: 'lseek', errno: -9 }),
  )
  expect(() => punchHole(0x7fff_fff0, 0, 4096)).toThrow(expect.objectContaining({ code: 'EBADF' }))
  expect(() => seekData(-1, 0)).toThrow(RangeError)
  expect(() => seekData(1.5, 0)).toThrow(RangeError)
  withMemfd((fd) => {
    expect(() => seekData(fd, -1)).toThrow(RangeError)
    expect(() => seekData(fd, 2 ** 53)).toThrow(RangeError)
    expect(() => punchHole(fd, 0, 0)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  })
})
