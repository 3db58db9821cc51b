import { statSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { HostMemoryError, openFileRam, type RamSource } from '@ullage/host-memory'
import { OfflineError } from '@ullage/offline-query'

/** Bytes of the file that are to be read from elsewhere in it: one write of a replay log. */
export interface Patch {
  readonly startBytes: number
  readonly sizeBytes: number
  readonly sourceBytes: number
}

/** A file of Hyper-V's, open for reading by position. */
export interface StorageFile extends Disposable {
  readonly path: string
  readonly sizeBytes: number
  /** Bytes `[offsetBytes, offsetBytes + into.length)`. Throws OfflineError: CORRUPT outside the file, UNREADABLE, both naming `what`. */
  read(offsetBytes: number, into: Uint8Array, what: string): void
}

/** Opens a regular file. Throws OfflineError INVALID when there is none, it is empty or may not be read. */
export function openStorageFile(path: string): StorageFile {
  let source: RamSource
  let sizeBytes: number
  const expected = 'expected a saved state of Hyper-V (.vmrs)'
  try {
    sizeBytes = statSync(path).size
    if (sizeBytes === 0) throw new OfflineError('INVALID', `${expected}, ${path} is empty`)
    source = openFileRam({ path, offsetBytes: 0, sizeBytes, data: [{ startBytes: 0, endBytes: sizeBytes }] })
  } catch (cause) {
    if (cause instanceof OfflineError || !(cause instanceof Error)) throw cause
    throw new OfflineError('INVALID', `${expected} at ${path}, found: ${cause.message}`, { cause })
  }
  const file: StorageFile = {
    path,
    sizeBytes,
    read(offsetBytes, into, what) {
      const end = offsetBytes + into.length
      if (!Number.isSafeInteger(end) || offsetBytes < 0 || end > sizeBytes) {
        throw corrupt(file, `${what} should be at bytes [${offsetBytes}, ${end}), the file has only ${sizeBytes}`)
      }
      try {
        source.read(offsetBytes, into)
      } catch (cause) {
        if (!(cause instanceof HostMemoryError)) throw cause
        throw new OfflineError('UNREADABLE', `cannot read ${what}: ${cause.message}`, { cause })
      }
    },
    [Symbol.dispose]: () => source[Symbol.dispose](),
  }
  return file
}

/** The same file as it is once `patches` have been written, in their order. Writes nothing. */
export function withPatches(file: StorageFile, patches: readonly Patch[]): StorageFile {
  if (patches.length === 0) return file
  return {
    ...file,
    read(offsetBytes, into, what) {
      file.read(offsetBytes, into, what)
      for (const { startBytes, sizeBytes, sourceBytes } of patches) {
        const from = Math.max(offsetBytes, startBytes)
        const to = Math.min(offsetBytes + into.length, startBytes + sizeBytes)
        if (to <= from) continue
        file.read(sourceBytes + from - startBytes, into.subarray(from - offsetBytes, to - offsetBytes), what)
      }
    },
  }
}

/** `sizeBytes` bytes from `offsetBytes` on. The caller has bounded `sizeBytes`. */
export function readBytes(
  file: StorageFile,
  offsetBytes: number | bigint,
  sizeBytes: number,
  what: string,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes)
  file.read(Number(offsetBytes), bytes, what)
  return bytes
}

/** CRC-32 (ISO 3309) of `bytes` with the four bytes at `checksumOffset` taken as zeros, as every structure here has it. */
export function checksumOf(bytes: Uint8Array, checksumOffset: number): number {
  const before = crc32(bytes.subarray(0, checksumOffset))
  return crc32(bytes.subarray(checksumOffset + 4), crc32(ZEROS, before))
}

const ZEROS = new Uint8Array(4)

/** For what breaks the format: what was expected, what was found. */
export function corrupt(file: { readonly path: string }, text: string): OfflineError {
  return new OfflineError('CORRUPT', `${file.path} is no sound saved state of Hyper-V: ${text}`)
}

/** For what may be right and is not handled: what was expected, what was found. */
export function unsupported(file: { readonly path: string }, expected: string, found: string): OfflineError {
  return new OfflineError('UNSUPPORTED', `expected ${expected} in ${file.path}, found ${found}`)
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`
}
