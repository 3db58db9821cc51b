import { loadLibrary } from '../foreign.ts'
import { openLzo } from './lzo-codec.ts'
import type { CodecName, PageCodec } from './page-codec.ts'
import { openSnappy } from './snappy-codec.ts'
import { openZlib } from './zlib-codec.ts'
import { openZstd } from './zstd-codec.ts'

const openers = { zstd: openZstd, lzo: openLzo, snappy: openSnappy, zlib: openZlib }

/**
 * Opens a codec with the best library this machine has for it, for the thread that calls. Throws CodecError
 * `LIBRARY_MISSING`, naming the package to install, for lzo and snappy; zstd and zlib fall back to node:zlib,
 * which has zstd since Node 22.15.
 */
export function openCodec(name: CodecName): PageCodec {
  return openers[name](loadLibrary)
}
