import { addressOf } from '../address.ts'
import type { LibraryLoader } from '../foreign.ts'
import { roomFor } from './codec-buffers.ts'
import { badData, CodecError } from './codec-error.ts'
import type { PageCodec } from './page-codec.ts'

const SONAME = 'libsnappy.so.1'

// snappy-c.h, snappy_status
const reasons = ['', 'corrupt', 'there is more content than room']

/** snappy's raw format through libsnappy's C interface. CodecError `LIBRARY_MISSING` without it. */
export function openSnappy(load: LibraryLoader): PageCodec {
  const library = load(SONAME)
  if (!library) {
    throw new CodecError(
      'LIBRARY_MISSING',
      `snappy needs ${SONAME}, which this machine lacks; install it (Debian: libsnappy1v5) or choose zstd or zlib`,
    )
  }
  const snappyCompress: (src: number, srcSize: number, dst: number, dstSize: Uint32Array) => number = library.func(
    'snappy_compress',
    'int',
    ['uintptr_t', 'size_t', 'uintptr_t', '_Inout_ uint32_t *'],
  )
  const snappyUncompress: (src: number, srcSize: number, dst: number, dstSize: Uint32Array) => number = library.func(
    'snappy_uncompress',
    'int',
    ['uintptr_t', 'size_t', 'uintptr_t', '_Inout_ uint32_t *'],
  )
  // size_t, as two halves: the room on the way in, the length on the way out
  const size = new Uint32Array(2)

  const codec: PageCodec = {
    name: 'snappy',
    library: SONAME,
    // snappy.cc, MaxCompressedLength
    maxCompressedBytes: (inputBytes) => 32 + inputBytes + Math.floor(inputBytes / 6),
    compress(src, srcOffset, srcLength, dst, dstOffset) {
      const to = roomFor(codec, srcLength, dst, dstOffset)
      size[0] = codec.maxCompressedBytes(srcLength)
      size[1] = 0
      const result = snappyCompress(addressOf(src, srcOffset, srcLength), srcLength, to, size)
      if (result !== 0) {
        throw new CodecError(
          'FAILED',
          `snappy could not compress ${srcLength} of ${src.length} bytes: status ${result}`,
        )
      }
      return size[0] as number
    },
    decompress(src, srcOffset, srcLength, dst, dstOffset, dstCapacity) {
      const from = addressOf(src, srcOffset, srcLength)
      const to = addressOf(dst, dstOffset, dstCapacity)
      size[0] = dstCapacity
      size[1] = 0
      const result = snappyUncompress(from, srcLength, to, size)
      if (result !== 0) throw badData('snappy', srcLength, dstCapacity, reasons[result] ?? `status ${result}`)
      return size[0] as number
    },
    [Symbol.dispose]() {},
  }
  return codec
}
