import { lstat, rm } from 'node:fs/promises'

/**
 * Removes the socket that a killed process has left at `path`; nothing there is as well. Throws for what is no socket. Who
 * lives behind a socket is the caller's to know.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (!found) return
  if (!found.isSocket()) throw new Error(`expected nothing or a socket at ${path}, found something else: it stays`)
  await rm(path, { force: true })
}
