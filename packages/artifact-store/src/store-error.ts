/**
 * Why a place of artifacts did not do what it was asked.
 *
 * - `STORE_UNAVAILABLE`: it does not answer, or answers that it cannot now; trying again may help.
 * - `STORE_REFUSED`: it answers no: wrong credentials, no such bucket, a checksum that does not fit.
 * - `STORE_CORRUPT`: what it gave is not what was stored: bytes were changed, moved, dropped or cut off.
 * - `KEY_UNKNOWN`: the artifact is encrypted with a key that is not configured here.
 * - `KEY_UNAVAILABLE`: the command that wraps and unwraps keys failed or took too long.
 * - `KEY_REFUSED`: a key file that is none, or that others can read.
 * - `UNREADABLE`: a file that should be decrypted is not there, is no file, or may not be read.
 * - `OUTPUT_EXISTS`: there is a file already where one should be written.
 * - `OUTPUT_NOT_WRITABLE`: no file can be written there.
 */
export type StoreErrorCode =
  | 'STORE_UNAVAILABLE'
  | 'STORE_REFUSED'
  | 'STORE_CORRUPT'
  | 'KEY_UNKNOWN'
  | 'KEY_UNAVAILABLE'
  | 'KEY_REFUSED'
  | 'UNREADABLE'
  | 'OUTPUT_EXISTS'
  | 'OUTPUT_NOT_WRITABLE'

/** Message: what was expected, what was found, where. Lower case, no full stop, no secret. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
