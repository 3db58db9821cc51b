import { HostMemoryError, type HostMemoryErrorCode } from '@ullage/host-memory'
import { abortError, OfflineError, type OfflineErrorCode } from '@ullage/offline-query'
import { QemuError, type QemuErrorCode } from '@ullage/qemu'

const QEMU: Record<QemuErrorCode, OfflineErrorCode> = {
  NOT_LISTENING: 'GUEST_NOT_FOUND',
  ACCESS_DENIED: 'INVALID',
  NOT_A_MONITOR: 'INVALID',
  MONITOR_BUSY: 'BUSY',
  GUEST_BUSY: 'BUSY',
  GONE: 'UNAVAILABLE',
  TIMEOUT: 'UNAVAILABLE',
  COMMAND_FAILED: 'UNSUPPORTED',
  UNEXPECTED_ANSWER: 'CORRUPT',
  UNSUITABLE: 'UNSUPPORTED',
  RESUMED_BY_OTHERS: 'UNAVAILABLE',
  GUARDIAN_FAILED: 'UNAVAILABLE',
  BAD_NOTES: 'CORRUPT',
}

/** Of files the caller named all; of a process QEMU told where its memory is. */
const FILES: Record<HostMemoryErrorCode, OfflineErrorCode> = {
  NOT_FOUND: 'INVALID',
  DENIED: 'INVALID',
  INVALID: 'INVALID',
  UNREADABLE: 'UNREADABLE',
  GONE: 'UNAVAILABLE',
}

const LIVE: Record<HostMemoryErrorCode, OfflineErrorCode> = {
  ...FILES,
  NOT_FOUND: 'UNAVAILABLE',
  INVALID: 'UNSUPPORTED',
}

/** The error of the contract for one of the layers below; everything else comes back as it is. */
export function toOfflineError(error: unknown, kind: 'live' | 'files'): unknown {
  if (error instanceof QemuError) return new OfflineError(QEMU[error.code], error.message, { cause: error })
  if (!(error instanceof HostMemoryError)) return error
  // A frame that cannot be read is named as such whatever the reason, unless all of a live guest is gone.
  const isFrame = error.pfn !== undefined && (kind === 'files' || error.code !== 'GONE')
  const code = isFrame ? 'UNREADABLE' : (kind === 'live' ? LIVE : FILES)[error.code]
  const isGone = kind === 'live' && error.code === 'GONE'
  const message = isGone
    ? `the guest's qemu is gone (${error.message}); see its own log, and start the guest again`
    : error.message
  return new OfflineError(code, message, { cause: error })
}

/** Runs `body`, and translates what it throws. */
export function translated<T>(kind: 'live' | 'files', body: () => T): T {
  try {
    return body()
  } catch (error) {
    throw toOfflineError(error, kind)
  }
}

/** Runs `body` on a live guest, and translates what it rejects with; the reason of `signal` becomes an AbortError. */
export async function translatedAsync<T>(body: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await body()
  } catch (error) {
    throw signal?.aborted && error === signal.reason ? abortError(signal) : toOfflineError(error, 'live')
  }
}
