import { statfs } from 'node:fs/promises'

/** What the file system of `folder` has free for this user, in bytes. */
export async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}
