import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { lockFile } from './lock-file.ts'

/**
 * Locks the file at `path`, made when missing, and writes this process's id into it. Returns its descriptor, or undefined
 * when another process holds it. The file is never removed: another process may be about to lock it. Throws a system error.
 */
export function lockPath(path: string): number | undefined {
  const fd = openSync(path, 'a+', 0o600)
  try {
    if (lockFile(fd)) {
      ftruncateSync(fd)
      writeSync(fd, `${process.pid}\n`)
      return fd
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
  closeSync(fd)
  return undefined
}
