/** The compressions of a kdump-compressed vmcore. */
export type CodecName = 'zstd' | 'lzo' | 'snappy' | 'zlib'

export const codecNames = ['zstd', 'lzo', 'snappy', 'zlib'] as const satisfies readonly CodecName[]

/**
 * Compresses and decompresses one page at a time between buffers of the caller. All lengths and offsets in bytes. The
 * buffers may be backed by a SharedArrayBuffer; nothing else may write to the source meanwhile. A codec belongs to the
 * thread that opened it.
 */
export interface PageCodec extends Disposable {
  readonly name: CodecName
  /** What does the work: a soname such as `libzstd.so.1`, or `node:zlib`. */
  readonly library: string
  /** The most bytes that `compress` may need for `inputBytes` bytes of input. */
  maxCompressedBytes(inputBytes: number): number
  /**
   * Compresses src[srcOffset, srcOffset + srcLength) into `dst` from `dstOffset` on and returns the number of bytes
   * written. RangeError when `dst` has less than `maxCompressedBytes(srcLength)` bytes left there, whatever the content.
   */
  compress(src: Uint8Array, srcOffset: number, srcLength: number, dst: Uint8Array, dstOffset: number): number
  /**
   * Decompresses src[srcOffset, srcOffset + srcLength) into at most `dstCapacity` bytes of `dst` from `dstOffset` on and
   * returns how many there were. The source may be hostile: nothing is read or written outside what was given. Throws
   * CodecError `BAD_DATA` when it is not one complete compressed piece or needs more than `dstCapacity`; what was
   * written to `dst` by then is undefined.
   */
  decompress(
    src: Uint8Array,
    srcOffset: number,
    srcLength: number,
    dst: Uint8Array,
    dstOffset: number,
    dstCapacity: number,
  ): number
}
