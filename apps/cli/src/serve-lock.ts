import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { lockFile } from '@ullage/native'
import { ServeError } from './serve-error.ts'

/** A `serve` that was killed is gone with all its processes within this time, in milliseconds. */
const GONE_WITHIN_MS = 15_000
const LOOK_EVERY_MS = 100

/**
 * Locks the folder for this process and for those that inherit the file that is returned: it is free again when all of
 * them are gone. Throws ServeError BUSY, or the signal's reason.
 */
export async function lockDataFolder(dataDir: string, signal: AbortSignal): Promise<FileHandle> {
  const file = await open(join(dataDir, 'serve.lock'), 'a')
  try {
    const deadline = performance.now() + GONE_WITHIN_MS
    while (!lockFile(file.fd)) {
      if (performance.now() > deadline) {
        throw new ServeError('BUSY', `another ullage serve uses ${dataDir}: end it, or name another folder`)
      }
      await delay(LOOK_EVERY_MS, undefined, { signal })
    }
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}
