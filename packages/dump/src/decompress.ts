import type { CodecName, PageCodec } from '@ullage/native'
import { openCodec } from '@ullage/native/codecs'
import type { Decompressor, OpenDecompress } from '@ullage/vmcore'

/**
 * Decompression for every codec a vmcore may use, in the thread that calls. A codec's library is opened when the first
 * page needs it, so a file that does not use lzo can be read where lzo is missing.
 */
export const openDecompress: OpenDecompress = () => {
  const opened: PageCodec[] = []
  const lazily = (name: CodecName): Decompressor => {
    let codec: PageCodec | undefined
    return (source, sourceOffset, sourceLength, target, targetOffset, targetLength) => {
      if (!codec) {
        codec = openCodec(name)
        opened.push(codec)
      }
      return codec.decompress(source, sourceOffset, sourceLength, target, targetOffset, targetLength)
    }
  }
  return {
    zlib: lazily('zlib'),
    lzo: lazily('lzo'),
    snappy: lazily('snappy'),
    zstd: lazily('zstd'),
    [Symbol.dispose]() {
      for (const codec of opened) codec[Symbol.dispose]()
    },
  }
}
