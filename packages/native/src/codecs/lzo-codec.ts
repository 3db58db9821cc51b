import { addressOf } from '../address.ts'
import type { LibraryLoader } from '../foreign.ts'
import { roomFor } from './codec-buffers.ts'
import { badData, CodecError } from './codec-error.ts'
import type { PageCodec } from './page-codec.ts'

const SONAME = 'liblzo2.so.2'
// lzo1x.h: LZO1X_1_MEM_COMPRESS is 16384 pointers
const WORK_BYTES = 16_384 * 8
// lzoconf.h: what lzo_init() passes to __lzo_init_v2 on a 64-bit machine; it compares them with how it was built.
const LZO_VERSION = 0x20a0
const ABI_SIZES = [2, 4, 8, 4, 8, 8, 8, 8, 48] as const

const reasons = new Map([
  [-4, 'it ends too early'],
  [-5, 'there is more content than room'],
  [-6, 'it refers to bytes before its start'],
  [-7, 'its end marker is missing'],
  [-8, 'bytes follow its end marker'],
])

/** LZO1X-1 of liblzo2. CodecError `LIBRARY_MISSING` without it. */
export function openLzo(load: LibraryLoader): PageCodec {
  const library = load(SONAME)
  if (!library) {
    throw new CodecError(
      'LIBRARY_MISSING',
      `lzo needs ${SONAME}, which this machine lacks; install it (Debian: liblzo2-2) or choose zstd or zlib`,
    )
  }
  const init: (version: number, ...sizes: number[]) => number = library.func('__lzo_init_v2', 'int', [
    'unsigned int',
    ...ABI_SIZES.map(() => 'int'),
  ])
  const lzoCompress: (src: number, srcSize: number, dst: number, dstSize: Uint32Array, work: Uint8Array) => number =
    library.func('lzo1x_1_compress', 'int', [
      'uintptr_t',
      'size_t',
      'uintptr_t',
      '_Out_ uint32_t *',
      '_Inout_ uint8_t *',
    ])
  const lzoDecompress: (src: number, srcSize: number, dst: number, dstSize: Uint32Array, work: number) => number =
    library.func('lzo1x_decompress_safe', 'int', [
      'uintptr_t',
      'size_t',
      'uintptr_t',
      '_Inout_ uint32_t *',
      'uintptr_t',
    ])

  const ready = init(LZO_VERSION, ...ABI_SIZES)
  if (ready !== 0) throw new CodecError('FAILED', `${SONAME} was built for another machine: lzo_init gave ${ready}`)
  const work = new Uint8Array(WORK_BYTES)
  // lzo_uint, as two halves
  const size = new Uint32Array(2)

  const codec: PageCodec = {
    name: 'lzo',
    library: SONAME,
    // LZO.FAQ, "How much can my data expand during compression?"; lzo1x_1_compress is not told how much room there is
    maxCompressedBytes: (inputBytes) => inputBytes + Math.ceil(inputBytes / 16) + 64 + 3,
    compress(src, srcOffset, srcLength, dst, dstOffset) {
      const to = roomFor(codec, srcLength, dst, dstOffset)
      const result = lzoCompress(addressOf(src, srcOffset, srcLength), srcLength, to, size, work)
      if (result !== 0) {
        throw new CodecError('FAILED', `lzo could not compress ${srcLength} of ${src.length} bytes: result ${result}`)
      }
      return size[0] as number
    },
    decompress(src, srcOffset, srcLength, dst, dstOffset, dstCapacity) {
      const from = addressOf(src, srcOffset, srcLength)
      const to = addressOf(dst, dstOffset, dstCapacity)
      size[0] = dstCapacity
      size[1] = 0
      const result = lzoDecompress(from, srcLength, to, size, 0)
      if (result !== 0) throw badData('lzo', srcLength, dstCapacity, reasons.get(result) ?? `result ${result}`)
      return size[0] as number
    },
    [Symbol.dispose]() {},
  }
  return codec
}
