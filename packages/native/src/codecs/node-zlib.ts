import { badData, CodecError } from './codec-error.ts'
import type { CodecName } from './page-codec.ts'

/** Copies what node:zlib returned into `dst`, of which it may use `capacity` bytes. */
export function copyOut(
  content: Uint8Array,
  dst: Uint8Array,
  dstOffset: number,
  capacity: number,
  codec: CodecName,
): number {
  if (content.length > capacity) {
    throw new CodecError(
      'BAD_DATA',
      `${codec} needs ${content.length} bytes for its result, found room for ${capacity}`,
    )
  }
  dst.set(content, dstOffset)
  return content.length
}

/** The CodecError for an error that node:zlib has thrown while decompressing. */
export function nodeBadData(error: unknown, codec: CodecName, srcLength: number, dstCapacity: number): unknown {
  if (error instanceof CodecError || !(error instanceof Error)) return error
  return badData(codec, srcLength, dstCapacity, error.message)
}
