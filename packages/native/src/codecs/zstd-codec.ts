import type * as Zlib from 'node:zlib'
import { addressOf } from '../address.ts'
import type { LibraryLoader } from '../foreign.ts'
import { roomFor } from './codec-buffers.ts'
import { badData, CodecError, checkConsumed } from './codec-error.ts'
import { copyOut, nodeBadData, nodeZlib, wholeContent } from './node-zlib.ts'
import type { PageCodec } from './page-codec.ts'
import { zstdFrameBytes } from './zstd-frame.ts'

const SONAME = 'libzstd.so.1'
const LEVEL = 1

/** What node:zlib has of zstd since Node 22.15: earlier ones have no such exports, so that they cannot be imported by name. */
export type NodeZstd = Partial<Pick<typeof Zlib, 'zstdCompressSync' | 'zstdDecompressSync'>>

/**
 * zstd at level 1, one complete frame a page with the content size in it: libzstd, or node:zlib without it. CodecError
 * `LIBRARY_MISSING` without both.
 */
export function openZstd(load: LibraryLoader, node?: NodeZstd): PageCodec {
  const library = load(SONAME)
  if (!library) return openNodeZstd(node ?? nodeZlib())

  // zstd.h: a size_t result is an error when ZSTD_isError says so, that is from (size_t)-120 on: negative as int64_t.
  const createCctx: () => number | bigint = library.func('ZSTD_createCCtx', 'uintptr_t', [])
  const freeCctx: (context: number) => number = library.func('ZSTD_freeCCtx', 'int64_t', ['uintptr_t'])
  const createDctx: () => number | bigint = library.func('ZSTD_createDCtx', 'uintptr_t', [])
  const freeDctx: (context: number) => number = library.func('ZSTD_freeDCtx', 'int64_t', ['uintptr_t'])
  const errorName: (code: number) => string = library.func('ZSTD_getErrorName', 'str', ['int64_t'])
  const compressBound: (size: number) => number = library.func('ZSTD_compressBound', 'int64_t', ['size_t'])
  const compressCctx: (
    context: number,
    dst: number,
    dstCapacity: number,
    src: number,
    srcSize: number,
    level: number,
  ) => number = library.func('ZSTD_compressCCtx', 'int64_t', [
    'uintptr_t',
    'uintptr_t',
    'size_t',
    'uintptr_t',
    'size_t',
    'int',
  ])
  const decompressDctx: (context: number, dst: number, dstCapacity: number, src: number, srcSize: number) => number =
    library.func('ZSTD_decompressDCtx', 'int64_t', ['uintptr_t', 'uintptr_t', 'size_t', 'uintptr_t', 'size_t'])

  // Made when first used: many who open a codec only compress, or only decompress.
  let cctx = 0
  let dctx = 0
  let disposed = false
  const context = (create: () => number | bigint): number => {
    if (disposed) throw new TypeError('this zstd codec is disposed')
    const address = Number(create())
    if (address === 0) throw new CodecError('FAILED', 'zstd found no memory for a context')
    return address
  }

  const codec: PageCodec = {
    name: 'zstd',
    library: SONAME,
    maxCompressedBytes: (inputBytes) => compressBound(inputBytes),
    compress(src, srcOffset, srcLength, dst, dstOffset) {
      cctx ||= context(createCctx)
      const room = codec.maxCompressedBytes(srcLength)
      const to = roomFor(codec, srcLength, dst, dstOffset)
      const written = compressCctx(cctx, to, room, addressOf(src, srcOffset, srcLength), srcLength, LEVEL)
      if (written < 0) {
        throw new CodecError(
          'FAILED',
          `zstd could not compress ${srcLength} of ${src.length} bytes: ${errorName(written)}`,
        )
      }
      return written
    },
    decompress(src, srcOffset, srcLength, dst, dstOffset, dstCapacity) {
      dctx ||= context(createDctx)
      const from = addressOf(src, srcOffset, srcLength)
      const written = decompressDctx(dctx, addressOf(dst, dstOffset, dstCapacity), dstCapacity, from, srcLength)
      if (written < 0) throw badData('zstd', srcLength, dstCapacity, errorName(written))
      if (srcLength === 0) throw badData('zstd', srcLength, dstCapacity, 'there is nothing')
      // ZSTD_decompressDCtx reads on through further frames, over skippable ones, and frames of older formats.
      checkConsumed('zstd', zstdFrameBytes(src, srcOffset, srcLength), srcLength, dstCapacity)
      return written
    },
    [Symbol.dispose]() {
      disposed = true
      if (cctx !== 0) freeCctx(cctx)
      if (dctx !== 0) freeDctx(dctx)
      cctx = 0
      dctx = 0
    },
  }
  return codec
}

function openNodeZstd({ zstdCompressSync, zstdDecompressSync }: NodeZstd): PageCodec {
  if (!zstdCompressSync || !zstdDecompressSync) {
    throw new CodecError(
      'LIBRARY_MISSING',
      `zstd needs ${SONAME}, which this machine lacks, or Node 22.15, found ${process.version}; install the library (Debian: libzstd1) or choose zlib`,
    )
  }
  const codec: PageCodec = {
    name: 'zstd',
    library: 'node:zlib',
    // zstd.h, ZSTD_COMPRESSBOUND
    maxCompressedBytes: (inputBytes) =>
      inputBytes + (inputBytes >>> 8) + (inputBytes < 131_072 ? (131_072 - inputBytes) >>> 11 : 0),
    compress(src, srcOffset, srcLength, dst, dstOffset) {
      roomFor(codec, srcLength, dst, dstOffset)
      addressOf(src, srcOffset, srcLength)
      const page = src.subarray(srcOffset, srcOffset + srcLength)
      const compressed = zstdCompressSync(page, {
        params: { [nodeZlib().constants.ZSTD_c_compressionLevel]: LEVEL },
        pledgedSrcSize: srcLength,
      })
      return copyOut(compressed, dst, dstOffset, codec.maxCompressedBytes(srcLength), 'zstd')
    },
    decompress(src, srcOffset, srcLength, dst, dstOffset, dstCapacity) {
      addressOf(src, srcOffset, srcLength)
      addressOf(dst, dstOffset, dstCapacity)
      const page = src.subarray(srcOffset, srcOffset + srcLength)
      try {
        const result: unknown = zstdDecompressSync(page, { maxOutputLength: Math.max(1, dstCapacity), info: true })
        return copyOut(wholeContent(result, 'zstd', srcLength, dstCapacity), dst, dstOffset, dstCapacity, 'zstd')
      } catch (error) {
        throw nodeBadData(error, 'zstd', srcLength, dstCapacity)
      }
    },
    [Symbol.dispose]() {},
  }
  return codec
}
