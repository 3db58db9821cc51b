import { mkdir, open, readdir, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { FolderCalls } from './folder-calls.ts'

/** What a file system may take to give back the blocks of one large file, in milliseconds. */
const REMOVE_WITHIN_MS = 60_000

/** The code of a system error such as `ENOENT`, or of any error that has one; undefined for others. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** For `catch`: undefined where a file is missing, all else is thrown on. */
export function missing(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT') return undefined
  throw error
}

/** Makes the content of a file, or the names in a folder, durable. */
export async function syncPath(path: string): Promise<void> {
  await using handle = await open(path, 'r')
  await handle.sync()
}

/** Removes what is in a folder, which may be a mount point and stays; makes it, for its owner alone to write, if it is missing. */
export async function emptyFolder(path: string, calls: FolderCalls): Promise<void> {
  await calls.ask(() => mkdir(path, { recursive: true, mode: 0o750 }))
  for (const name of await calls.ask(() => readdir(path))) await removeTree(join(path, name), calls)
}

/** Removes a file, or a folder with all there is in it; does nothing when it is not there. By one call after another. */
export async function removeTree(path: string, calls: FolderCalls, signal?: AbortSignal): Promise<void> {
  const removed = await calls.ask(() => unlink(path).then(() => true, unlinked), { signal, withinMs: REMOVE_WITHIN_MS })
  if (removed) return
  for (const name of (await calls.ask(() => readdir(path).catch(missing), { signal })) ?? []) {
    await removeTree(join(path, name), calls, signal)
  }
  await calls.ask(() => rmdir(path).catch(missing), { signal, withinMs: REMOVE_WITHIN_MS })
}

/** For a file that could not be removed: true where there is none, false where it is a folder. */
function unlinked(error: unknown): boolean {
  if (codeOf(error) === 'EISDIR') return false
  return missing(error) ?? true
}
