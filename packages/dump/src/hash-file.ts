import { createHash } from 'node:crypto'
import { constants, readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'

/** Read and hashed at a time: larger pieces leave the core's cache in between. */
const CHUNK_BYTES = 1 << 20
/** Hashed before others have a turn: about as long as a table of pages is checked for. */
const TURN_BYTES = 1 << 24

/** Without O_NONBLOCK opening a FIFO waits for a writer, for ever. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK

/** sha256 and size of a whole file. */
export interface HashedFile {
  readonly bytes: number
  readonly sha256: string
}

/**
 * Hashes a whole file, by path or by open descriptor, in the thread that calls. Reads are synchronous: from memory they are a
 * seventh of the work, and a read that goes on meanwhile fills the cache of another core and makes the whole dearer.
 * Rejects when the file cannot be read, and with the reason of `signal`.
 */
export async function hashFile(file: string | number, signal?: AbortSignal): Promise<HashedFile> {
  if (typeof file === 'number') return await hashDescriptor(file, signal)
  await using opened = await open(file, OPEN_FLAGS)
  return await hashDescriptor(opened.fd, signal)
}

async function hashDescriptor(fd: number, signal: AbortSignal | undefined): Promise<HashedFile> {
  const hash = createHash('sha256')
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  for (let bytes = 0, nextTurn = 0; ; ) {
    if (bytes >= nextTurn) {
      await setImmediate()
      signal?.throwIfAborted()
      nextTurn = bytes + TURN_BYTES
    }
    const read = readSync(fd, chunk, 0, CHUNK_BYTES, bytes)
    if (read === 0) return { bytes, sha256: hash.digest('hex') }
    hash.update(chunk.subarray(0, read))
    bytes += read
  }
}
