import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

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
export async function emptyFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o750 })
  for (const name of await readdir(path)) await rm(join(path, name), { recursive: true, force: true })
}
