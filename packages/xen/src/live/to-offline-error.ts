import { XenError, type XenErrorCode } from '@ullage/native'
import { OfflineError, type OfflineErrorCode } from '@ullage/offline-query'

const CODES: Record<XenErrorCode, OfflineErrorCode> = {
  NOT_CONTROL_DOMAIN: 'INVALID',
  DENIED: 'INVALID',
  LIBRARY_MISSING: 'UNSUPPORTED',
  FAILED: 'UNAVAILABLE',
}

/** Runs `body`, and throws the error of the contract for one of Xen's libraries. */
export function translated<T>(body: () => T): T {
  try {
    return body()
  } catch (error) {
    if (!(error instanceof XenError)) throw error
    throw new OfflineError(CODES[error.code], error.message, { cause: error })
  }
}
