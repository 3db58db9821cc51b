/**
 * Why a backend could not answer. Each code has a heading in the README of this package.
 *
 * - `INVALID`: what the caller named is wrong: a file, a region, a descriptor.
 * - `GUEST_NOT_FOUND`: no such guest on this host, or nobody answers at its socket.
 * - `BUSY`: somebody else holds the guest: another monitor client, another dump.
 * - `UNSUPPORTED`: the right guest, in a version, mode or state that is not handled.
 * - `CORRUPT`: the hypervisor's data breaks its own format.
 * - `UNAVAILABLE`: the hypervisor stopped answering.
 * - `UNREADABLE`: a frame could not be read; the message names it.
 */
export type OfflineErrorCode =
  | 'INVALID'
  | 'GUEST_NOT_FOUND'
  | 'BUSY'
  | 'UNSUPPORTED'
  | 'CORRUPT'
  | 'UNAVAILABLE'
  | 'UNREADABLE'

/** Message: what was expected, what was found, where, what to do. Lower case, no full stop. */
export class OfflineError extends Error {
  override readonly name = 'OfflineError'
  readonly code: OfflineErrorCode

  constructor(code: OfflineErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** What every call on a guest throws once it has been closed. */
export function closedGuest(): OfflineError {
  return new OfflineError('UNAVAILABLE', 'expected an open guest, found one that was closed here')
}
