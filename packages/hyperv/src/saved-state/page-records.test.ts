import { encodeRamBlock } from '@ullage/lab'
import { expect, test } from 'vitest'
import { PageRecords, RecordError } from './page-records.ts'

const BLOCK = 1 << 20
const PAGE = 4096

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  values.forEach((value, i) => bytes.writeUInt32LE(value, i * 4))
  return bytes
}

function made(bytes: Uint8Array, size: number): Uint8Array {
  const into = new Uint8Array(size)
  new PageRecords(bytes, BLOCK).read(0, into)
  return into
}

const PATTERN = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8])

test('twenty bytes are a MiB of zeros', () => {
  // What a user of openvmm saw most RamBlocks of a real saved state to have.
  const block = Buffer.concat([words(0xffff_fffd, 0, 0, 256), words(0xffff_ffff)])
  expect(block.length).toBe(20)
  const records = new PageRecords(block, BLOCK)
  expect(records.sizeBytes).toBe(BLOCK)
  expect(made(block, BLOCK).every((byte) => byte === 0)).toBe(true)
})

test('each kind of record makes its page', () => {
  const raw = Uint8Array.from({ length: PAGE }, (_, i) => (i * i) >>> 3)
  const packed = Buffer.from('ffffff1f61626317000fff2601', 'hex')
  const bytes = Buffer.concat([
    words(PAGE),
    raw,
    words(0xffff_fffe),
    PATTERN,
    words(0xffff_fffd),
    PATTERN,
    words(2),
    words(0xffff_fffc, 300, packed.length),
    packed,
    words(0xffff_fffc, 8, 8),
    PATTERN,
    words(0xffff_ffff),
  ])
  const records = new PageRecords(bytes, BLOCK)
  const expected = Buffer.concat([raw, Buffer.alloc(3 * PAGE, PATTERN), Buffer.alloc(300, 'abc'), PATTERN])
  expect(records.sizeBytes).toBe(expected.length)
  for (const [from, to] of [
    [0, expected.length],
    [1, 2],
    [PAGE - 5, PAGE + 11],
    [4 * PAGE + 7, 4 * PAGE + 305],
    [4 * PAGE + 299, expected.length],
  ] as const) {
    const into = new Uint8Array(to - from)
    records.read(from, into)
    expect(Buffer.from(into).equals(expected.subarray(from, to)), `${from} to ${to}`).toBe(true)
  }
  expect(() => records.read(1, new Uint8Array(expected.length))).toThrow(RecordError)
})

test('an end may be missing', () => {
  expect(made(Buffer.concat([words(0xffff_fffe), PATTERN]), PAGE)).toEqual(Uint8Array.from(Buffer.alloc(PAGE, PATTERN)))
})

test('a block of real pages of every kind comes out in any part', () => {
  const block = new Uint8Array(BLOCK)
  for (let page = 0; page < 256; page++) {
    const at = page * PAGE
    for (let i = 0; i < PAGE; i++) {
      block[at + i] = [0, page, i & 7, (i * page * 2_654_435_761) >>> 11, i % 100 < 60 ? 65 : i * page][
        page % 5
      ] as number
    }
  }
  const records = new PageRecords(encodeRamBlock(block, 'pages'), BLOCK)
  for (let i = 0; i < 3000; i++) {
    const from = (i * 7919 * 13) % BLOCK
    const into = new Uint8Array(Math.min(BLOCK - from, 1 + ((i * 31) % 9000)))
    records.read(from, into)
    if (Buffer.compare(into, block.subarray(from, from + into.length)) !== 0) throw new Error(`differs at ${from}`)
  }
})

test.each([
  ['a page of no bytes', words(0), /0 bytes for 4096/],
  ['a page larger than one', Buffer.concat([words(PAGE + 1), Buffer.alloc(PAGE + 1)]), /4097 bytes for 4096/],
  ['a page cut off', Buffer.concat([words(100), Buffer.alloc(99)]), /100 bytes are expected, 99 are left/],
  ['half a tag', Buffer.alloc(3), /4 bytes are expected, 3 are left/],
  ['half a pattern', Buffer.concat([words(0xffff_fffe), Buffer.alloc(7)]), /8 bytes are expected, 7 are left/],
  ['no pages filled', Buffer.concat([words(0xffff_fffd), PATTERN, words(0)]), /no page is filled/],
  [
    'more than a block',
    Buffer.concat([words(0xffff_fffd), PATTERN, words(257)]),
    /makes 1052672 bytes, room is for 1048576/,
  ],
  ['2^32 pages', Buffer.concat([words(0xffff_fffd), PATTERN, words(0xffff_ffff)]), /room is for 1048576/],
  ['bytes after the end', Buffer.concat([words(0xffff_ffff), Buffer.alloc(1)]), /1 bytes follow the end/],
  ['a part larger than a page', Buffer.concat([words(0xffff_fffc, PAGE + 1, 1), Buffer.alloc(1)]), /1 bytes for 4097/],
  ['a part of no bytes', words(0xffff_fffc, 0, 0), /0 bytes for 0/],
  [
    'more records than pages',
    Buffer.concat(Array.from({ length: 4097 }, () => Buffer.concat([words(0xffff_fffc, 1, 1), Buffer.alloc(1)]))),
    /more than 4096 records/,
  ],
])('refuses %s', (_, bytes, message) => {
  expect(() => new PageRecords(bytes, BLOCK)).toThrow(RecordError)
  expect(() => new PageRecords(bytes, BLOCK)).toThrow(message)
})

test('a page that does not decompress is refused where it is read, and no other', () => {
  const bytes = Buffer.concat([words(0xffff_fffe), PATTERN, words(6), Buffer.alloc(6, 0xff), words(0xffff_ffff)])
  const records = new PageRecords(bytes, BLOCK)
  records.read(0, new Uint8Array(PAGE))
  expect(() => records.read(PAGE, new Uint8Array(PAGE))).toThrow(
    /the 6 bytes at 16 are no xpress of a page of 4096 bytes/,
  )
})
