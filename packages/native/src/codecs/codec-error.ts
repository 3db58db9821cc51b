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
