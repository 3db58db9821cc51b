import type * as Zlib from 'node:zlib'
import { badData, CodecError, checkConsumed } from './codec-error.ts'
import type { CodecName } from './page-codec.ts'

/** node:zlib, loaded only where it is needed: it is for machines without the libraries. */
export function nodeZlib(): typeof Zlib {
  return process.getBuiltinModule('node:zlib')
}

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

/**
 * The content out of what node:zlib returns when asked for `info`, once its input was used to the last byte: without, it
 * says nothing of bytes that follow a complete stream. Throws CodecError `BAD_DATA`.
 */
export function wholeContent(result: unknown, codec: CodecName, srcLength: number, dstCapacity: number): Uint8Array {
  if (!isInfo(result)) throw new CodecError('FAILED', `node:zlib gave no account of the bytes ${codec} has used`)
  checkConsumed(codec, result.engine.bytesWritten, srcLength, dstCapacity)
  return result.buffer
}

/** `bytesWritten` counts what was written to the engine: the compressed bytes it has used. */
function isInfo(result: unknown): result is { buffer: Uint8Array; engine: { bytesWritten: number } } {
  if (typeof result !== 'object' || result === null || !('buffer' in result) || !('engine' in result)) return false
  const { buffer, engine } = result
  if (!(buffer instanceof Uint8Array) || typeof engine !== 'object' || engine === null) return false
  return 'bytesWritten' in engine && typeof engine.bytesWritten === 'number'
}

/** The CodecError for an error that node:zlib has thrown while decompressing. */
export function nodeBadData(error: unknown, codec: CodecName, srcLength: number, dstCapacity: number): unknown {
  if (error instanceof CodecError || !(error instanceof Error)) return error
  return badData(codec, srcLength, dstCapacity, error.message)
}
