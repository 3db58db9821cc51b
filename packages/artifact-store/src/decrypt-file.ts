import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { link, open, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { codeOf } from './files.ts'
import { FolderCalls } from './folder-calls.ts'
import type { Keyring } from './keyring.ts'
import { openStored } from './open-sealed.ts'
import { StoreError } from './store-error.ts'
import { openStoredFile } from './stored-file.ts'

/**
 * Writes the vmcore in the encrypted file `from` to the new file `to`, which appears whole or not at all. Every chunk is
 * checked. Returns its size. Throws StoreError, and what the file system says.
 */
export async function decryptFile(
  from: string,
  to: string,
  options: { keys: Keyring; signal?: AbortSignal; onProgress?: (done: number, total: number) => void },
): Promise<number> {
  const sealed = await openStored(await openStoredFile(from, new FolderCalls(dirname(from))), undefined, options.keys)
  try {
    if (!sealed.isSealed)
      throw new StoreError('STORE_CORRUPT', `${from} is not encrypted: it does not begin as such files do`)
    const path = resolve(to)
    const partial = join(dirname(path), `.${basename(path)}.${randomUUID()}.partial`)
    const file = await open(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
    try {
      let done = 0
      for await (const piece of sealed.read(0, sealed.sizeBytes, options.signal)) {
        await file.writeFile(piece)
        done += piece.length
        options.onProgress?.(done, sealed.sizeBytes)
      }
      await file.sync()
      await link(partial, path)
    } catch (cause) {
      if (codeOf(cause) !== 'EEXIST') throw cause
      throw new StoreError('OUTPUT_EXISTS', `${path} exists; nothing is overwritten: remove it or name another`, {
        cause,
      })
    } finally {
      await file.close()
      await rm(partial, { force: true })
    }
    return sealed.sizeBytes
  } finally {
    await sealed.close()
  }
}
