import { mkdirSync } from 'node:fs'

/**
 * Makes a folder, and those above it that are missing, that others of its group may empty, whatever the umask is. Not by chmod:
 * that would take away the set-group-id bit, by which the group comes down to what is made in it. For the main thread alone.
 */
export function makeSharedFolder(path: string): void {
  const umask = process.umask(0o007)
  try {
    mkdirSync(path, { recursive: true, mode: 0o770 })
  } finally {
    process.umask(umask)
  }
}
