/**
 * Why a vmcore could not be read. Each code has a heading in the README of this package.
 *
 * - `UNREADABLE`: the file itself: it does not exist, is not a regular file, or the disk fails.
 * - `NOT_A_VMCORE`: a file of some other kind.
 * - `UNSUPPORTED`: a vmcore of a kind, version or compression that is not handled.
 * - `TRUNCATED`: a vmcore that ends before its headers say, or that says of itself that it is incomplete.
 * - `CORRUPT`: a vmcore that breaks its own format.
 * - `NOT_STORED`: a frame was asked for that the vmcore does not hold.
 */
export type VmcoreErrorCode = 'UNREADABLE' | 'NOT_A_VMCORE' | 'UNSUPPORTED' | 'TRUNCATED' | 'CORRUPT' | 'NOT_STORED'

/** Message: what was expected, what was found, where. Lower case, no full stop. */
export class VmcoreError extends Error {
  override readonly name = 'VmcoreError'
  readonly code: VmcoreErrorCode

  constructor(code: VmcoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
