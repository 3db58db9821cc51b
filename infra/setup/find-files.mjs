import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Paths of the regular files below a folder whose name matches. */
export function findFiles(folder, pattern) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
}
