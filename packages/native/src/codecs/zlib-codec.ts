import { addressOf } from '../address.ts'
import type { LibraryLoader } from '../foreign.ts'
import { roomFor } from './codec-buffers.ts'
import { badData, CodecError, checkConsumed } from './codec-error.ts'
import { copyOut, nodeBadData, nodeZlib, wholeContent } from './node-zlib.ts'
import type { PageCodec } from './page-codec.ts'

const LIBDEFLATE = 'libdeflate.so.0'
const LIBZ = 'libz.so.1'
const LEVEL = 1

/** deflate at level 1 in zlib's format: libdeflate, else libz, else node:zlib. */
export function openZlib(load: LibraryLoader): PageCodec {
  return openLibdeflate(load) ?? openLibz(load) ?? withoutLibrary
}

// libdeflate.h, enum libdeflate_result
const libdeflateReasons = ['', 'corrupt', 'shorter than expected', 'there is more content than room']

function openLibdeflate(load: LibraryLoader): PageCodec | undefined {
  const library = load(LIBDEFLATE)
  if (!library) return undefined
  const allocCompressor: (level: number) => number | bigint = library.func('libdeflate_alloc_compressor', 'uintptr_t', [
    'int',
  ])
  const freeCompressor: (compressor: number) => void = library.func('libdeflate_free_compressor', 'void', ['uintptr_t'])
  const allocDecompressor: () => number | bigint = library.func('libdeflate_alloc_decompressor', 'uintptr_t', [])
  const freeDecompressor: (decompressor: number) => void = library.func('libdeflate_free_decompressor', 'void', [
    'uintptr_t',
  ])
  const bound: (compressor: number, size: number) => number = library.func(
    'libdeflate_zlib_compress_bound',
    'int64_t',
    ['uintptr_t', 'size_t'],
  )
  const zlibCompress: (compressor: number, src: number, srcSize: number, dst: number, dstCapacity: number) => number =
    library.func('libdeflate_zlib_compress', 'int64_t', ['uintptr_t', 'uintptr_t', 'size_t', 'uintptr_t', 'size_t'])
  const zlibDecompress: (
    decompressor: number,
    src: number,
    srcSize: number,
    dst: number,
    dstCapacity: number,
    consumed: Uint32Array,
    written: Uint32Array,
  ) => number = library.func('libdeflate_zlib_decompress_ex', 'int', [
    'uintptr_t',
    'uintptr_t',
    'size_t',
    'uintptr_t',
    'size_t',
    '_Out_ uint32_t *',
    '_Out_ uint32_t *',
  ])

  let compressor = 0
  let decompressor = 0
  let disposed = false
  const context = (address: number): number => {
    if (address === 0) throw new CodecError('FAILED', 'libdeflate found no memory for a context')
    return address
  }
  const checkOpen = (): void => {
    if (disposed) throw new TypeError('this zlib codec is disposed')
  }
  // size_t, as two halves
  const consumed = new Uint32Array(2)
  const written = new Uint32Array(2)

  const codec: PageCodec = {
    name: 'zlib',
    library: LIBDEFLATE,
    maxCompressedBytes: (inputBytes) => bound(0, inputBytes),
    compress(src, srcOffset, srcLength, dst, dstOffset) {
      checkOpen()
      compressor ||= context(Number(allocCompressor(LEVEL)))
      const to = roomFor(codec, srcLength, dst, dstOffset)
      const from = addressOf(src, srcOffset, srcLength)
      const length = zlibCompress(compressor, from, srcLength, to, codec.maxCompressedBytes(srcLength))
      if (length <= 0) {
        throw new CodecError('FAILED', `libdeflate could not compress ${srcLength} of ${src.length} bytes`)
      }
      return length
    },
    decompress(src, srcOffset, srcLength, dst, dstOffset, dstCapacity) {
      checkOpen()
      decompressor ||= context(Number(allocDecompressor()))
      const from = addressOf(src, srcOffset, srcLength)
      const to = addressOf(dst, dstOffset, dstCapacity)
      const result = zlibDecompress(decompressor, from, srcLength, to, dstCapacity, consumed, written)
      if (result !== 0) throw badData('zlib', srcLength, dstCapacity, libdeflateReasons[result] ?? `result ${result}`)
      checkConsumed('zlib', sizeOf(consumed), srcLength, dstCapacity)
      return written[0] as number
    },
    [Symbol.dispose]() {
      disposed = true
      if (compressor !== 0) freeCompressor(compressor)
      if (decompressor !== 0) freeDecompressor(decompressor)
      compressor = 0
      decompressor = 0
    },
  }
  return codec
}

// zlib.h
const libzReasons = new Map([
  [-3, 'corrupt'],
  [-4, 'no memory'],
  [-5, 'shorter than expected, or there is more content than room'],
  [2, 'a preset dictionary is needed'],
])

function openLibz(load: LibraryLoader): PageCodec | undefined {
  const library = load(LIBZ)
  if (!library) return undefined
  const compressBound: (size: number) => number = library.func('compressBound', 'int64_t', ['unsigned long'])
  const compress2: (dst: number, dstSize: Uint32Array, src: number, srcSize: number, level: number) => number =
    library.func('compress2', 'int', ['uintptr_t', '_Inout_ uint32_t *', 'uintptr_t', 'unsigned long', 'int'])
  const uncompress2: (dst: number, dstSize: Uint32Array, src: number, srcSize: Uint32Array) => number = library.func(
    'uncompress2',
    'int',
    ['uintptr_t', '_Inout_ uint32_t *', 'uintptr_t', '_Inout_ uint32_t *'],
  )
  // uLongf, as two halves: the room on the way in, the length on the way out
  const size = new Uint32Array(2)
  const consumed = new Uint32Array(2)

  const codec: PageCodec = {
    name: 'zlib',
    library: LIBZ,
    maxCompressedBytes: (inputBytes) => compressBound(inputBytes),
    compress(src, srcOffset, srcLength, dst, dstOffset) {
      const to = roomFor(codec, srcLength, dst, dstOffset)
      setSize(size, codec.maxCompressedBytes(srcLength))
      const result = compress2(to, size, addressOf(src, srcOffset, srcLength), srcLength, LEVEL)
      if (result !== 0) {
        throw new CodecError('FAILED', `zlib could not compress ${srcLength} of ${src.length} bytes: result ${result}`)
      }
      return size[0] as number
    },
    decompress(src, srcOffset, srcLength, dst, dstOffset, dstCapacity) {
      const from = addressOf(src, srcOffset, srcLength)
      const to = addressOf(dst, dstOffset, dstCapacity)
      setSize(size, dstCapacity)
      setSize(consumed, srcLength)
      const result = uncompress2(to, size, from, consumed)
      if (result !== 0) throw badData('zlib', srcLength, dstCapacity, libzReasons.get(result) ?? `result ${result}`)
      checkConsumed('zlib', sizeOf(consumed), srcLength, dstCapacity)
      return size[0] as number
    },
    [Symbol.dispose]() {},
  }
  return codec
}

function setSize(size: Uint32Array, bytes: number): void {
  size[0] = bytes
  size[1] = Math.floor(bytes / 2 ** 32)
}

function sizeOf(size: Uint32Array): number {
  return (size[0] as number) + (size[1] as number) * 2 ** 32
}

const withoutLibrary: PageCodec = {
  name: 'zlib',
  library: 'node:zlib',
  // zlib's compress.c, compressBound
  maxCompressedBytes: (inputBytes) => inputBytes + (inputBytes >>> 12) + (inputBytes >>> 14) + (inputBytes >>> 25) + 13,
  compress(src, srcOffset, srcLength, dst, dstOffset) {
    roomFor(withoutLibrary, srcLength, dst, dstOffset)
    addressOf(src, srcOffset, srcLength)
    const compressed = nodeZlib().deflateSync(src.subarray(srcOffset, srcOffset + srcLength), { level: LEVEL })
    return copyOut(compressed, dst, dstOffset, withoutLibrary.maxCompressedBytes(srcLength), 'zlib')
  },
  decompress(src, srcOffset, srcLength, dst, dstOffset, dstCapacity) {
    addressOf(src, srcOffset, srcLength)
    addressOf(dst, dstOffset, dstCapacity)
    const page = src.subarray(srcOffset, srcOffset + srcLength)
    try {
      const result: unknown = nodeZlib().inflateSync(page, { maxOutputLength: Math.max(1, dstCapacity), info: true })
      return copyOut(wholeContent(result, 'zlib', srcLength, dstCapacity), dst, dstOffset, dstCapacity, 'zlib')
    } catch (error) {
      throw nodeBadData(error, 'zlib', srcLength, dstCapacity)
    }
  },
  [Symbol.dispose]() {},
}
