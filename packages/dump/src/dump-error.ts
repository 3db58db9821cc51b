/**
 * Why a dump failed. Each code has a heading in the README of this package.
 *
 * - `INVALID_OPTION`: an option has a value that cannot be.
 * - `OUTPUT_EXISTS`, `OUTPUT_NOT_WRITABLE`: the output path cannot become the artifact.
 * - `NO_SPACE`: the artifact does not fit where it should go.
 * - `TIMEOUT`: a disk hangs while the guest stands still.
 * - `MEMORY_UNREADABLE`: a frame of the plan could not be read; the message names it.
 * - `CODEC_MISSING`: the compression asked for needs a library this host does not have.
 * - `NO_THREADS`: this host lets the user start fewer threads than jobs were asked for.
 * - `KEXEC_UNKNOWN`: the guest does not tell what it has loaded to kexec into.
 * - `VERIFY_FAILED`: what was written does not read back.
 */
export type DumpErrorCode =
  | 'INVALID_OPTION'
  | 'OUTPUT_EXISTS'
  | 'OUTPUT_NOT_WRITABLE'
  | 'NO_SPACE'
  | 'TIMEOUT'
  | 'MEMORY_UNREADABLE'
  | 'CODEC_MISSING'
  | 'NO_THREADS'
  | 'KEXEC_UNKNOWN'
  | 'VERIFY_FAILED'

/** Message: what was expected, what was found, where, what to do. Lower case, no full stop. */
export class DumpError extends Error {
  override readonly name = 'DumpError'
  readonly code: DumpErrorCode

  constructor(code: DumpErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
