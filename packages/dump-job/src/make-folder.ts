import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * Makes a folder and those above it that are missing, with `mode`; does nothing when it is there. Throws an Error that names
 * the folder which could not be made.
 *
 * Level by level: Node's own recursive mkdir never returns where a folder exists that takes none, as /proc does
 * (ENOENT for the child of a folder that is there makes it begin again).
 */
export function makeFolder(path: string, mode = 0o777): void {
  const missing = []
  let folder = resolve(path)
  for (; !statSync(folder, { throwIfNoEntry: false }); folder = dirname(folder)) missing.push(folder)
  if (!statSync(folder).isDirectory()) throw new Error(`expected a folder at ${folder}, found a file`)
  for (const each of missing.reverse()) makeOne(each, mode)
}

function makeOne(folder: string, mode: number): void {
  try {
    mkdirSync(folder, { mode })
  } catch (error) {
    // Somebody else was faster.
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const message = `expected to make the folder ${folder}: ${dirname(folder)} takes none (${reason}); name another one`
    throw new Error(message, { cause: error })
  }
}
