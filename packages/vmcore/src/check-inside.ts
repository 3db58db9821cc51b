import { VmcoreError } from './vmcore-error.ts'

/** Throws VmcoreError TRUNCATED unless [position, position + length) lies inside a file of `sizeBytes`. */
export function checkInside(sizeBytes: number, length: number, position: number, what: string): void {
  if (!Number.isSafeInteger(position) || position < 0) {
    throw new VmcoreError('CORRUPT', `${what} cannot be at offset ${position}`)
  }
  if (position + length > sizeBytes) {
    throw new VmcoreError(
      'TRUNCATED',
      `${what} needs ${length} bytes at offset ${position}, the file has only ${sizeBytes} bytes`,
    )
  }
}
