import type { CodecName } from './page-codec.ts'

/** `LIBRARY_MISSING`: this machine lacks the codec's library. `BAD_DATA`: not something this codec has compressed. */
export type CodecErrorCode = 'LIBRARY_MISSING' | 'BAD_DATA' | 'FAILED'

export class CodecError extends Error {
  override readonly name = 'CodecError'
  readonly code: CodecErrorCode

  constructor(code: CodecErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export function badData(codec: CodecName, srcLength: number, dstCapacity: number, reason: string): CodecError {
  return new CodecError(
    'BAD_DATA',
    `${srcLength} bytes are not a page that ${codec} has compressed to at most ${dstCapacity} bytes: ${reason}`,
  )
}

/** Throws `BAD_DATA` unless the compressed piece ended where its bytes end: what follows it is no part of a page. */
export function checkConsumed(codec: CodecName, consumed: number, srcLength: number, dstCapacity: number): void {
  if (consumed === srcLength) return
  throw badData(codec, srcLength, dstCapacity, `it ends after ${consumed} of them`)
}
