import { codecNames, type PageCodec } from '@ullage/native'
import { openCodec } from '@ullage/native/codecs'
import type { Decompress } from '../src/decompress.ts'
import { asBuffer, isZeroPage } from '../src/zero-page.ts'
import { type Compression, pageFlags } from '../src/vmcore-writer.ts'

const codecs = new Map<Compression, PageCodec>(codecNames.map((name) => [name, openCodec(name)]))

function codec(name: Compression): PageCodec {
  const found = codecs.get(name)
  if (!found) throw new RangeError(`no codec ${name}`)
  return found
}

/** All four, by the machine's own libraries. */
export const decompress: Decompress = {
  zstd: (...args) => codec('zstd').decompress(...args),
  lzo: (...args) => codec('lzo').decompress(...args),
  snappy: (...args) => codec('snappy').decompress(...args),
  zlib: (...args) => codec('zlib').decompress(...args),
}

export interface EncodedPage {
  readonly flags: number
  /** Empty for a page of zeros. */
  readonly bytes: Uint8Array
}

/** As an engine does it: zeros to nothing, raw where compressing does not help. */
export function encodePage(page: Uint8Array, compression: Compression): EncodedPage {
  if (isZeroPage(asBuffer(page), 0, page.length)) return { flags: pageFlags.none, bytes: new Uint8Array(0) }
  if (compression === 'none') return { flags: pageFlags.none, bytes: page }
  const room = new Uint8Array(codec(compression).maxCompressedBytes(page.length))
  const size = codec(compression).compress(page, 0, page.length, room, 0)
  if (size >= page.length) return { flags: pageFlags.none, bytes: page }
  return { flags: pageFlags[compression], bytes: room.subarray(0, size) }
}
