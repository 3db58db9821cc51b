/**
 * Why Xen cannot be talked to.
 *
 * - `NOT_CONTROL_DOMAIN`: this is not Xen's control domain, or its devices are not there.
 * - `LIBRARY_MISSING`: a library of Xen's is not installed; the message names its package.
 * - `DENIED`: this user may not use Xen's devices.
 * - `FAILED`: a library failed for another reason, which the message has.
 */
export type XenErrorCode = 'NOT_CONTROL_DOMAIN' | 'LIBRARY_MISSING' | 'DENIED' | 'FAILED'

/** Message: what was expected, what was found, what to do. Lower case, no full stop. */
export class XenError extends Error {
  override readonly name = 'XenError'
  readonly code: XenErrorCode

  constructor(code: XenErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
