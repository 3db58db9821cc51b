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
 * checked. Returns its size. Throws StoreError: UNREADABLE and OUTPUT_NOT_WRITABLE besides those of stores.
 */
export async function decryptFile(
  from: string,
  to: string,
  options: { keys: Keyring; signal?: AbortSignal; onProgress?: (done: number, total: number) => void },
): Promise<number> {
  const stored = await openStoredFile(from, new FolderCalls(dirname(from))).catch((cause: unknown) => {
    throw unreadable(from, cause)
  })
  const sealed = await openStored(stored, undefined, options.keys)
  try {
    if (!sealed.isSealed)
      throw new StoreError('STORE_CORRUPT', `${from} is not encrypted: it does not begin as such files do`)
    const path = resolve(to)
    const partial = join(dirname(path), `.${basename(path)}.${randomUUID()}.partial`)
    const writing = <T>(step: Promise<T>) =>
      step.catch((cause: unknown) => {
        throw notWritable(path, cause)
      })
    const file = await writing(open(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600))
    try {
      let done = 0
      for await (const piece of sealed.read(0, sealed.sizeBytes, options.signal)) {
        await writing(file.writeFile(piece))
        done += piece.length
        options.onProgress?.(done, sealed.sizeBytes)
      }
      await writing(file.sync())
      await writing(link(partial, path))
    } finally {
      await file.close()
      await rm(partial, { force: true })
    }
    return sealed.sizeBytes
  } finally {
    await sealed.close()
  }
}

/** An error of reading `path` as one that says so; others as they are. */
function unreadable(path: string, cause: unknown): unknown {
  if (cause instanceof StoreError && cause.code === 'STORE_CORRUPT')
    return new StoreError('UNREADABLE', cause.message, { cause })
  if (cause instanceof StoreError || !(cause instanceof Error) || codeOf(cause) === undefined) return cause
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such file',
    ENOTDIR: 'there is no such file',
    EACCES: 'this user may not read it',
  }
  const reason = reasons[codeOf(cause) ?? ''] ?? cause.message
  return new StoreError('UNREADABLE', `${path} cannot be read: ${reason}`, { cause })
}

/** An error of writing `path` as one that says so; others as they are. */
function notWritable(path: string, cause: unknown): unknown {
  const code = codeOf(cause)
  if (!(cause instanceof Error) || code === undefined) return cause
  if (code === 'EEXIST') {
    return new StoreError('OUTPUT_EXISTS', `${path} exists; nothing is overwritten: remove it or name another`, {
      cause,
    })
  }
  const folder = dirname(path)
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: `the folder ${folder} is not there`,
    ENOTDIR: `${folder} is no folder`,
    EACCES: `this user may not write in ${folder}`,
  }
  const isFull = code === 'ENOSPC' || code === 'EDQUOT'
  const message = `${path} cannot be written: ${reasons[code] ?? cause.message}`
  return new StoreError(isFull ? 'STORE_UNAVAILABLE' : 'OUTPUT_NOT_WRITABLE', message, { cause })
}
