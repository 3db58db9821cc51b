import * as zlib from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addressOf } from '../address.ts'
import { loadLibrary } from '../foreign.ts'
import { zstdFrameBytes } from './zstd-frame.ts'

const library = loadLibrary('libzstd.so.1')
const findFrameCompressedSize: ((src: number, srcSize: number) => number) | undefined = library?.func(
  'ZSTD_findFrameCompressedSize',
  'int64_t',
  ['uintptr_t', 'size_t'],
)

/** What the library says, or undefined when it finds no whole frame. */
function byLibrary(bytes: Uint8Array): number | undefined {
  if (bytes.length === 0 || !findFrameCompressedSize) return undefined
  const size = findFrameCompressedSize(addressOf(bytes, 0, bytes.length), bytes.length)
  return size < 0 ? undefined : size
}

const { ZSTD_c_checksumFlag, ZSTD_c_contentSizeFlag, ZSTD_c_windowLog } = zlib.constants
/** Empty, small, of one block, of several; compressible, of one byte, of noise. */
const contents = [0, 1, 255, 256, 4096, 65_791, 300_000].flatMap((length) => [
  Buffer.alloc(length, 7),
  Buffer.from(Uint8Array.from({ length }, (_, i) => (i * i) >>> 7)),
  Buffer.from(Uint8Array.from({ length }, (_, i) => Math.imul(i + 1, 2_654_435_761) >>> 13)),
])
const frames = contents.flatMap((content) =>
  [0, 1].flatMap((checksum) =>
    [0, 1].flatMap((contentSize) =>
      [10, 17].map((windowLog) =>
        zlib.zstdCompressSync(content, {
          params: {
            [ZSTD_c_checksumFlag]: checksum,
            [ZSTD_c_contentSizeFlag]: contentSize,
            [ZSTD_c_windowLog]: windowLog,
          },
        }),
      ),
    ),
  ),
)

test('a whole frame has the bytes it has, whatever follows', () => {
  for (const frame of frames) {
    expect(zstdFrameBytes(frame, 0, frame.length)).toBe(frame.length)
    const followed = Buffer.concat([Buffer.alloc(3), frame, frame])
    expect(zstdFrameBytes(followed, 3, followed.length - 3)).toBe(frame.length)
  }
})

test('a frame that is cut short has none', () => {
  for (const frame of frames) {
    const cuts = frame.length < 300 ? frame.keys() : [0, 5, 9, 17, frame.length - 5, frame.length - 1]
    for (const cut of cuts) expect(zstdFrameBytes(frame, 0, cut)).toBe(0)
  }
})

test('a skippable frame, one of an older format and none at all have none', () => {
  for (const first of [0x50, 0x27, 0x00]) {
    expect(zstdFrameBytes(Uint8Array.of(first, 0xb5, 0x2f, 0xfd, 0x20, 1, 1, 0, 0), 0, 9)).toBe(0)
  }
})

test.skipIf(!findFrameCompressedSize)('what the library takes for a frame has the same size here', () => {
  let whole = 0
  fc.assert(
    fc.property(
      fc.constantFrom(...frames.filter((frame) => frame.length < 5000)),
      fc.array(fc.tuple(fc.nat(20), fc.nat(255)), { maxLength: 3 }),
      fc.uint8Array({ maxLength: 40 }),
      (frame, changes, rest) => {
        const bytes = Uint8Array.from([...frame, ...rest])
        // Behind the magic number, most of them in the headers.
        for (const [at, byte] of changes) if (4 + at < bytes.length) bytes[4 + at] = byte
        const expected = byLibrary(bytes)
        if (expected === undefined) return
        whole++
        expect(zstdFrameBytes(bytes, 0, bytes.length)).toBe(expected)
      },
    ),
    { numRuns: 2000 },
  )
  expect(whole).toBeGreaterThan(500)
})
