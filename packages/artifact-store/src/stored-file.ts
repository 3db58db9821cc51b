import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { codeOf } from './files.ts'
import type { FolderCalls } from './folder-calls.ts'
import { StoreError } from './store-error.ts'
import type { StoredBytes } from './stored-bytes.ts'

const READ_BYTES = 1 << 20

/** A file as it is, whose folder is asked by `calls`. Throws what the file system says, and StoreError. */
export async function openStoredFile(path: string, calls: FolderCalls): Promise<StoredBytes> {
  const { file, sizeBytes } = await calls.ask(() => openSized(path), { late: (opened) => closeSoon(opened.file) })
  return {
    sizeBytes,
    read: (startByte, endByte, signal) => readFile({ file, calls, startByte, endByte, signal }),
    // Node closes it when its last read has been answered: nobody waits for that.
    close: async () => closeSoon(file),
  }
}

async function openSized(path: string): Promise<{ file: FileHandle; sizeBytes: number }> {
  // Without O_NONBLOCK opening a FIFO waits for a writer, for ever.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw codeOf(cause) === 'ENXIO' ? special(path, cause) : cause
  })
  try {
    const found = await file.stat()
    if (!found.isFile()) throw special(path)
    return { file, sizeBytes: found.size }
  } catch (error) {
    await file.close()
    throw error
  }
}

function special(path: string, cause?: unknown): StoreError {
  return new StoreError('STORE_CORRUPT', `${path} is no regular file`, { cause })
}

/** Of a file that was only read there is nothing to lose. */
function closeSoon(file: FileHandle): void {
  file.close().catch(() => undefined)
}

interface ReadOptions {
  readonly file: FileHandle
  readonly calls: FolderCalls
  readonly startByte: number
  readonly endByte: number
  readonly signal: AbortSignal | undefined
}

async function* readFile({ file, calls, startByte, endByte, signal }: ReadOptions) {
  for (let at = startByte; at < endByte; ) {
    // Whoever takes it may keep it, and a read that nobody waits for still writes: a buffer of its own each time.
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, endByte - at))
    const position = at
    const { bytesRead } = await calls.ask(() => file.read(buffer, 0, buffer.length, position), { signal })
    if (bytesRead === 0)
      throw new StoreError('STORE_CORRUPT', `the artifact's file ends at byte ${at}, expected ${endByte}`)
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
