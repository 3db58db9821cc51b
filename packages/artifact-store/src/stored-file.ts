import { type FileHandle, open } from 'node:fs/promises'
import { StoreError } from './store-error.ts'
import type { StoredBytes } from './stored-bytes.ts'

const READ_BYTES = 1 << 20

/** A file as it is. Throws what the file system says. */
export async function openStoredFile(path: string): Promise<StoredBytes> {
  const file = await open(path, 'r')
  const { size } = await file.stat()
  return {
    sizeBytes: size,
    read: (startByte, endByte, signal) => readFile(file, startByte, endByte, signal),
    close: () => file.close(),
  }
}

async function* readFile(file: FileHandle, startByte: number, endByte: number, signal?: AbortSignal) {
  for (let at = startByte; at < endByte; ) {
    signal?.throwIfAborted()
    // Whoever takes it may keep it: a buffer of its own each time.
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, endByte - at))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0)
      throw new StoreError('STORE_CORRUPT', `the artifact's file ends at byte ${at}, expected ${endByte}`)
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
