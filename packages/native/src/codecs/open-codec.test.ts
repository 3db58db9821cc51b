import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type LibraryLoader, loadLibrary } from '../foreign.ts'
import { CodecError } from './codec-error.ts'
import { openLzo } from './lzo-codec.ts'
import { openCodec } from './open-codec.ts'
import { codecNames, type PageCodec } from './page-codec.ts'
import { openSnappy } from './snappy-codec.ts'
import { openZlib } from './zlib-codec.ts'
import { openZstd } from './zstd-codec.ts'

const nothing: LibraryLoader = () => undefined
const without =
  (...sonames: string[]): LibraryLoader =>
  (soname) =>
    sonames.includes(soname) ? undefined : loadLibrary(soname)

const variants: [string, () => PageCodec][] = [
  ['libzstd.so.1', () => openZstd(loadLibrary)],
  ['node:zlib', () => openZstd(nothing)],
  ['liblzo2.so.2', () => openLzo(loadLibrary)],
  ['libsnappy.so.1', () => openSnappy(loadLibrary)],
  ['libdeflate.so.0', () => openZlib(loadLibrary)],
  ['libz.so.1', () => openZlib(without('libdeflate.so.0'))],
  ['node:zlib', () => openZlib(nothing)],
]

/** Content between compressible and not: runs of bytes, some of them random. */
const content = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 700 }), fc.boolean()), { maxLength: 20 })
  .map((runs) =>
    Uint8Array.from(
      runs.flatMap(([byte, count, noisy]) =>
        Array.from({ length: count }, (_, i) => (noisy ? (byte * (i + 7) * 2_654_435_761) >>> 24 : byte)),
      ),
    ),
  )

describe.each(variants)('%s', (library, open) => {
  using codec = open()
  const name = codec.name

  test(`${name} says what does the work`, () => {
    expect(codec.library).toBe(library)
  })

  test(`${name} gives back what went in, between guard bytes, in shared memory and in plain`, () => {
    using own = open()
    fc.assert(
      fc.property(content, fc.boolean(), fc.integer({ min: 0, max: 9 }), (input, shared, offset) => {
        const max = own.maxCompressedBytes(input.length)
        const make = (bytes: number) => new Uint8Array(shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes))
        const src = make(input.length + 20).fill(0xa5)
        src.set(input, offset)
        const dst = make(max + 20).fill(0xa5)
        const bytes = own.compress(src, offset, input.length, dst, offset)
        expect(bytes).toBeGreaterThan(0)
        expect(bytes).toBeLessThanOrEqual(max)
        expect(dst.subarray(0, offset).every((byte) => byte === 0xa5)).toBe(true)
        expect(dst.subarray(offset + max).every((byte) => byte === 0xa5)).toBe(true)
        const out = make(input.length + 20).fill(0xa5)
        expect(own.decompress(dst, offset, bytes, out, offset, input.length)).toBe(input.length)
        expect(Buffer.from(out.subarray(offset, offset + input.length)).equals(Buffer.from(input))).toBe(true)
        expect(out.subarray(0, offset).every((byte) => byte === 0xa5)).toBe(true)
        expect(out.subarray(offset + input.length).every((byte) => byte === 0xa5)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  test(`${name} refuses hostile input and writes nothing beyond the room it was given`, () => {
    using own = open()
    const page = Uint8Array.from({ length: 4096 }, (_, i) => (i % 97) ^ (i >>> 5))
    const good = new Uint8Array(own.maxCompressedBytes(4096))
    const length = own.compress(page, 0, 4096, good, 0)
    let refused = 0
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.tuple(fc.integer({ min: 0, max: length - 1 }), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
            const bytes = good.slice(0, length)
            bytes[at] = (bytes[at] as number) ^ flip
            return bytes
          }),
          fc.integer({ min: 0, max: length - 1 }).map((cut) => good.slice(0, cut)),
        ),
        fc.integer({ min: 0, max: 5000 }),
        (hostile, room) => {
          const dst = new Uint8Array(6000).fill(0x5a)
          try {
            expect(own.decompress(hostile, 0, hostile.length, dst, 500, room)).toBeLessThanOrEqual(room)
          } catch (error) {
            if (!(error instanceof CodecError)) throw error
            expect(error.code).toBe('BAD_DATA')
            refused++
          }
          expect(dst.subarray(0, 500).every((byte) => byte === 0x5a)).toBe(true)
          expect(dst.subarray(500 + room).every((byte) => byte === 0x5a)).toBe(true)
        },
      ),
      { numRuns: 1000 },
    )
    expect(refused).toBeGreaterThan(300)
  })

  test(`${name} needs all the room that the content takes`, () => {
    using own = open()
    const page = new Uint8Array(4096).fill(3)
    const dst = new Uint8Array(own.maxCompressedBytes(4096))
    const length = own.compress(page, 0, 4096, dst, 0)
    const out = new Uint8Array(4096)
    expect(own.decompress(dst, 0, length, out, 0, 4096)).toBe(4096)
    expect(() => own.decompress(dst, 0, length, out, 0, 4095)).toThrow(CodecError)
    expect(() => own.decompress(dst, 0, length, out, 0, 0)).toThrow(CodecError)
    expect(() => own.decompress(dst, 0, length - 1, out, 0, 4096)).toThrow(CodecError)
    expect(() => own.decompress(dst, 0, 0, out, 0, 4096)).toThrow(CodecError)
  })

  test(`${name} takes one compressed piece and nothing after it`, () => {
    using own = open()
    const page = Uint8Array.from({ length: 4096 }, (_, i) => i >>> 5)
    const room = new Uint8Array(own.maxCompressedBytes(4096))
    const piece = room.slice(0, own.compress(page, 0, 4096, room, 0))
    const half = new Uint8Array(own.maxCompressedBytes(2048))
    const halfPiece = half.slice(0, own.compress(page, 0, 2048, half, 0))
    // RFC 8878: a skippable frame of four bytes
    const skippable = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4)
    const out = new Uint8Array(4096)
    expect(own.decompress(piece, 0, piece.length, out, 0, 4096)).toBe(4096)
    for (const parts of [
      [piece, Uint8Array.of(0)],
      [piece, new Uint8Array(40)],
      [piece, Buffer.from('JUNK')],
      [piece, piece],
      [halfPiece, halfPiece],
      [piece, skippable],
    ]) {
      const bytes = Uint8Array.from(Buffer.concat(parts))
      let thrown: unknown
      try {
        own.decompress(bytes, 0, bytes.length, out, 0, 4096)
      } catch (error) {
        thrown = error
      }
      expect(thrown).toBeInstanceOf(CodecError)
      expect(thrown).toMatchObject({ code: 'BAD_DATA' })
    }
  })

  test(`${name} refuses what is not inside the buffers before it touches them`, () => {
    using own = open()
    const page = new Uint8Array(4096)
    const max = own.maxCompressedBytes(4096)
    const dst = new Uint8Array(max)
    expect(() => own.compress(page, 0, 4096, new Uint8Array(max - 1), 0)).toThrow(RangeError)
    expect(() => own.compress(page, 0, 4096, dst, 1)).toThrow(RangeError)
    expect(() => own.compress(page, 1, 4096, dst, 0)).toThrow(RangeError)
    expect(() => own.compress(page, -1, 10, dst, 0)).toThrow(RangeError)
    expect(() => own.compress(page, 0.5, 10, dst, 0)).toThrow(RangeError)
    expect(() => own.compress(page, Number.NaN, 10, dst, 0)).toThrow(RangeError)
    expect(() => own.decompress(page, 0, 4097, dst, 0, max)).toThrow(RangeError)
    expect(() => own.decompress(page, 0, 4096, dst, 0, max + 1)).toThrow(RangeError)
    expect(() => own.decompress(page, 0, 4096, dst, -1, 10)).toThrow(RangeError)
    const gone = new Uint8Array(4096)
    own.compress(gone, 0, 4096, dst, 0)
    structuredClone(gone.buffer, { transfer: [gone.buffer] })
    expect(() => own.compress(gone, 0, 4096, dst, 0)).toThrow(RangeError)
  })
})

test('zstd writes one frame with the content size in it, and reads its own with either library', () => {
  using native = openZstd(loadLibrary)
  using node = openZstd(nothing)
  const page = Uint8Array.from({ length: 4096 }, (_, i) => i >>> 4)
  for (const [writer, reader] of [
    [native, node],
    [node, native],
  ] as const) {
    const dst = new Uint8Array(writer.maxCompressedBytes(4096))
    const length = writer.compress(page, 0, 4096, dst, 0)
    // RFC 8878: magic number; Frame_Header_Descriptor with Single_Segment or a Frame_Content_Size_flag
    expect([...dst.subarray(0, 4)]).toEqual([0x28, 0xb5, 0x2f, 0xfd])
    expect((dst[4] as number) & 0xe0).not.toBe(0)
    const out = new Uint8Array(4096)
    expect(reader.decompress(dst, 0, length, out, 0, 4096)).toBe(4096)
    expect(out).toEqual(page)
  }
})

test('zlib written by each library is read by each', () => {
  const open = [loadLibrary, without('libdeflate.so.0'), nothing].map(openZlib)
  const page = Uint8Array.from({ length: 4096 }, (_, i) => i >>> 3)
  for (const writer of open) {
    const dst = new Uint8Array(writer.maxCompressedBytes(4096))
    const length = writer.compress(page, 0, 4096, dst, 0)
    for (const reader of open) {
      const out = new Uint8Array(4096)
      expect(reader.decompress(dst, 0, length, out, 0, 4096)).toBe(4096)
      expect(out).toEqual(page)
    }
  }
})

test('a missing library is named, with the package that has it', () => {
  for (const [open, debian] of [
    [openLzo, 'liblzo2-2'],
    [openSnappy, 'libsnappy1v5'],
    // a Node before 22.15
    [(load: LibraryLoader) => openZstd(load, {}), 'libzstd1'],
  ] as const) {
    let thrown: unknown
    try {
      open(nothing)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(CodecError)
    expect(thrown).toMatchObject({ code: 'LIBRARY_MISSING', message: expect.stringContaining(debian) })
  }
  expect(loadLibrary('libullage-has-no-such-library.so.9')).toBeUndefined()
})

test('a disposed codec refuses to work', () => {
  for (const name of ['zstd', 'zlib'] as const) {
    const codec = openCodec(name)
    const dst = new Uint8Array(codec.maxCompressedBytes(64))
    codec.compress(new Uint8Array(64), 0, 64, dst, 0)
    codec[Symbol.dispose]()
    codec[Symbol.dispose]()
    expect(() => codec.compress(new Uint8Array(64), 0, 64, dst, 0)).toThrow('disposed')
    expect(() => codec.decompress(dst, 0, 10, new Uint8Array(64), 0, 64)).toThrow('disposed')
  }
})

test('every codec of the format can be opened by name', () => {
  for (const name of codecNames) {
    using codec = openCodec(name)
    expect(codec.name).toBe(name)
  }
})
