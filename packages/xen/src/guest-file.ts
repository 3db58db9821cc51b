import { statSync } from 'node:fs'
import { HostMemoryError, openFileRam, type RamSource } from '@ullage/host-memory'
import { OfflineError } from '@ullage/offline-query'

/** A file that holds a guest, open for reading by position. */
export interface GuestFile extends Disposable {
  readonly path: string
  readonly sizeBytes: number
  /** Fills all of `into` with the bytes from `offsetBytes` on. Throws OfflineError UNREADABLE, naming `what`. */
  read(offsetBytes: number, into: Uint8Array, what: string): void
}

/**
 * Opens a regular file, which should be `expected` ("a core file of xl dump-core"). Throws OfflineError INVALID when there
 * is none, it is empty or may not be read.
 */
export function openGuestFile(path: string, expected: string): GuestFile {
  let source: RamSource
  let sizeBytes: number
  try {
    sizeBytes = statSync(path).size
    if (sizeBytes === 0) throw new OfflineError('INVALID', `expected ${expected}, ${path} is empty`)
    const data = [{ startBytes: 0, endBytes: sizeBytes }]
    source = openFileRam({ path, offsetBytes: 0, sizeBytes, data })
  } catch (cause) {
    if (cause instanceof OfflineError || !(cause instanceof Error)) throw cause
    throw new OfflineError('INVALID', `expected ${expected} at ${path}, found: ${cause.message}`, { cause })
  }
  return {
    path,
    sizeBytes,
    read(offsetBytes, into, what) {
      try {
        source.read(offsetBytes, into)
      } catch (cause) {
        if (!(cause instanceof HostMemoryError)) throw cause
        throw new OfflineError('UNREADABLE', `cannot read ${what}: ${cause.message}`, { cause })
      }
    },
    [Symbol.dispose]: () => source[Symbol.dispose](),
  }
}

/** The `sizeBytes` bytes from `offsetBytes` on, which the caller has checked against the size of the file. */
export function readBytes(file: GuestFile, offsetBytes: number, sizeBytes: number, what: string): Uint8Array {
  const bytes = new Uint8Array(sizeBytes)
  file.read(offsetBytes, bytes, what)
  return bytes
}
