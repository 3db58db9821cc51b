import fc from 'fast-check'
import { expect, test } from 'vitest'
import { placePages, SharedPages } from './shared-pages.ts'

const about = { maxBytes: 16, pages: 100 }

/** A file that is written batch by batch. */
function growing() {
  let file = Buffer.alloc(0)
  const pages = new SharedPages((into, position) => {
    if (position + into.length > file.length) throw new Error(`bytes from ${position} on are not written yet`)
    file.copy(into, 0, position)
  }, about)
  return {
    place(contents: readonly Buffer[], printOf: (content: Buffer) => number) {
      const start = file.length
      const payload = Buffer.concat(contents)
      const placed = placePages(
        {
          count: contents.length,
          sizes: Uint32Array.from(contents, ({ length }) => length),
          prints: Uint32Array.from(contents, printOf),
          payload,
        },
        start,
        pages,
      )
      file = Buffer.concat([file, payload.subarray(0, placed.bytes)])
      return placed
    },
    read: (position: number, size: number) => file.subarray(position, position + size),
  }
}

const content = fc.uint8Array({ minLength: 0, maxLength: 3 }).map((bytes) => Buffer.from(bytes))
const prints: readonly ((content: Buffer) => number)[] = [
  (bytes) => bytes.reduce((sum, byte) => Math.imul(sum, 31) + byte, bytes.length) >>> 0,
  // All collide, as a guest may want it.
  () => 7,
  (bytes) => ((bytes[0] ?? 0) << 18) >>> 0,
]

test('every page stands where it is said to, whatever its print', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(content, { maxLength: 30 }), { maxLength: 8 }),
      fc.constantFrom(...prints),
      (batches, print) => {
        const file = growing()
        const placed = batches.map((contents) => file.place(contents, print))
        batches.forEach((contents, i) => {
          contents.forEach((bytes, j) => {
            if (bytes.length === 0) return
            const position = placed[i]?.positions[j] as number
            expect(file.read(position, bytes.length)).toEqual(bytes)
          })
        })
      },
    ),
    { numRuns: 300 },
  )
})

test('a page is stored once, in one batch and in two', () => {
  const file = growing()
  const print = (bytes: Buffer) => bytes.readUInt8()
  const [a, b, c] = ['aaaa', 'bb', 'ccc'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer]
  const first = file.place([a, b, a, c, b], print)
  expect([first.bytes, first.shared, [...first.positions]]).toEqual([9, 2, [0, 4, 0, 6, 4]])
  const second = file.place([c, Buffer.from('cc'), a], print)
  expect([second.bytes, second.shared, [...second.positions]]).toEqual([2, 2, [6, 9, 0]])
})

test('positions beyond 4 GiB are remembered whole', () => {
  const pages = new SharedPages((into) => into.fill(1), about)
  pages.add(9, 2, 2 ** 40 + 3)
  expect(pages.find(9, Buffer.from([1, 1]), 0, 2, 2 ** 41)).toBe(2 ** 40 + 3)
  expect(pages.find(9, Buffer.from([1, 2]), 0, 2, 2 ** 41)).toBeUndefined()
})
