import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { OfflineError } from '@ullage/offline-query'

/**
 * Opens a regular file to read it; a pipe that nobody writes to is refused, not waited for. Throws OfflineError `INVALID`,
 * naming `what` was expected.
 */
export function openRegular(path: string, what: string): { readonly fd: number; readonly sizeBytes: number } {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(fd)
    if (stat.isFile()) return { fd, sizeBytes: stat.size }
    closeSync(fd)
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause)
    throw new OfflineError('INVALID', `expected ${what} at ${path}, found: ${found}`, { cause })
  }
  throw new OfflineError('INVALID', `expected ${what} at ${path}, found something that is no regular file`)
}

/** All of a small file. Throws OfflineError `INVALID` when it cannot be read or has more than `maxBytes`. */
export function readBounded(path: string, options: { maxBytes: number; what: string }): Buffer {
  const { maxBytes, what } = options
  const { fd, sizeBytes } = openRegular(path, what)
  try {
    if (sizeBytes <= maxBytes) return readFileSync(fd)
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause)
    throw new OfflineError('INVALID', `expected ${what} at ${path}, found: ${found}`, { cause })
  } finally {
    closeSync(fd)
  }
  throw new OfflineError(
    'INVALID',
    `expected ${what} of at most ${maxBytes} bytes at ${path}, found ${sizeBytes} bytes`,
  )
}
