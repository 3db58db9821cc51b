import fc from 'fast-check'
import { expect, test } from 'vitest'
import { orderByPosition } from './order-by-position.ts'
import type { PageTable } from './page-table.ts'
import type { SharedReader } from './shared-bytes.ts'
import { TableReader } from './table-reader.ts'

const PAGE = 4096
const FILE = Uint8Array.from({ length: 3 << 20 }, (_, i) => (i ^ (i >>> 8) ^ (i >>> 16)) & 0xff)

/** A file in memory, and how much of it was read. */
function countingSource(): SharedReader & { bytes: number; calls: number } {
  return {
    sizeBytes: FILE.length,
    bytes: 0,
    calls: 0,
    read(into, position) {
      if (position < 0 || position + into.length > FILE.length) throw new RangeError('outside the file')
      this.calls++
      this.bytes += into.length
      into.set(FILE.subarray(position, position + into.length))
    },
  }
}

function tableOf(pages: readonly (readonly [position: number, size: number])[]): PageTable {
  return {
    count: pages.length,
    positions: Float64Array.from(pages, ([position]) => position),
    sizes: Uint32Array.from(pages, ([, size]) => size),
    flags: new Uint32Array(pages.length),
  }
}

function expectAll(reader: TableReader, table: PageTable, order: Uint32Array | undefined): void {
  reader.restart()
  for (let at = 0; at < table.count; at++) {
    const index = order ? (order[at] as number) : at
    const position = table.positions[index] as number
    const size = table.sizes[index] as number
    reader.bring(table, order, at)
    const found = reader.buffer.subarray(reader.offset, reader.offset + size)
    expect(Buffer.compare(found, FILE.subarray(position, position + size))).toBe(0)
  }
}

test('pages that follow one another are read in large pieces, and no byte twice', () => {
  const source = countingSource()
  const pages = Array.from({ length: 700 }, (_, i) => [i * PAGE, PAGE] as const)
  expectAll(new TableReader(source, PAGE), tableOf(pages), undefined)
  expect(source.bytes).toBe(700 * PAGE)
  expect(source.calls).toBeLessThan(20)
})

test('runs in any order, as threads may have appended them, cost a read each', () => {
  const source = countingSource()
  const pages = [5, 3, 4, 0, 2, 1].flatMap((run) =>
    Array.from({ length: 60 }, (_, i) => [(run * 60 + i) * 2000, 2000] as const),
  )
  const table = tableOf(pages)
  expectAll(new TableReader(source, PAGE), table, orderByPosition(table))
  expect(source.bytes).toBe(360 * 2000)
  expect(source.calls).toBeLessThan(10)
})

test('any pages in any order, with any order taken for theirs: right, and little read in vain', () => {
  const page = fc.tuple(fc.nat(FILE.length - PAGE), fc.integer({ min: 1, max: PAGE }))
  const near = fc.tuple(fc.nat(40_000), fc.integer({ min: 1, max: PAGE }))
  fc.assert(
    fc.property(fc.array(fc.oneof(page, near), { maxLength: 300 }), fc.boolean(), (pages, sorted) => {
      const source = countingSource()
      const table = tableOf(pages)
      expectAll(new TableReader(source, PAGE), table, sorted ? orderByPosition(table) : undefined)
      expect(source.bytes).toBeLessThanOrEqual(pages.length * 3 * PAGE)
    }),
  )
})

test('sizes and positions that cannot be are not read with those that can', () => {
  const table = tableOf([
    [0, 10],
    [10, 0xffff_ffff],
    [20, 10],
    [FILE.length - 5, 10],
    [2 ** 60, 10],
  ])
  const reader = new TableReader(countingSource(), PAGE)
  reader.restart()
  reader.bring(table, undefined, 0)
  reader.bring(table, undefined, 2)
  expect(reader.buffer.subarray(reader.offset, reader.offset + 10)).toEqual(Buffer.from(FILE.subarray(20, 30)))
})

test('a part of the file that cannot be read: the pages before and after it still are', () => {
  const source = countingSource()
  const failing: SharedReader = {
    sizeBytes: source.sizeBytes,
    read(into, position) {
      if (position < 50_000 && position + into.length > 49_000) throw new Error('the disk fails')
      source.read(into, position)
    },
  }
  const table = tableOf(Array.from({ length: 100 }, (_, i) => [i * 1000, 1000] as const))
  const reader = new TableReader(failing, PAGE)
  reader.restart()
  for (let at = 0; at < 100; at++) {
    if (at === 49) expect(() => reader.bring(table, undefined, at)).toThrow('the disk fails')
    else reader.bring(table, undefined, at)
    if (at !== 49) expect(reader.buffer[reader.offset]).toBe(FILE[at * 1000])
  }
})
