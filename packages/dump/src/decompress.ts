import { type CodecName, openCodec, type PageCodec } from '@ullage/native'
import type { Decompress } from '@ullage/vmcore'

/**
 * Decompression for every codec a vmcore may use. A codec's library is opened when the first page needs it, so a file
 * that does not use lzo can be read where lzo is missing.
 */
export function openDecompress(): Decompress {
  const open = new Map<CodecName, PageCodec>()
  const by =
    (name: CodecName): Decompress[CodecName] =>
    (source, sourceOffset, sourceLength, target, targetOffset, targetLength) => {
      let codec = open.get(name)
      if (!codec) {
        codec = openCodec(name)
        open.set(name, codec)
      }
      return codec.decompress(source, sourceOffset, sourceLength, target, targetOffset, targetLength)
    }
  return { zlib: by('zlib'), lzo: by('lzo'), snappy: by('snappy'), zstd: by('zstd') }
}
