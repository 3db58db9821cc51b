import { mkdirSync, type Stats, statSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/**
 * Makes a folder and those above it that are missing, with `mode`; does nothing when it is there. Throws an Error that names
 * the folder which could not be made.
 *
 * Level by level: Node's own recursive mkdir never returns where a folder exists that takes none, as /proc does
 * (ENOENT for the child of a folder that is there makes it begin again).
 */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  const missing = []
  let folder = resolve(path)
  let found = await stat(folder).catch(isNone)
  for (; !found; found = await stat(folder).catch(isNone)) {
    missing.push(folder)
    folder = dirname(folder)
  }
  expectFolder(folder, found)
  for (const each of missing.reverse()) await makeOne(each, mode)
}

/** The same at once: for a folder of this host, which does not hang; nothing else happens meanwhile. */
export function makeFolderSync(path: string, mode = 0o777): void {
  const missing = []
  let folder = resolve(path)
  for (; !statSync(folder, { throwIfNoEntry: false }); folder = dirname(folder)) missing.push(folder)
  expectFolder(folder, statSync(folder))
  for (const each of missing.reverse()) makeOneSync(each, mode)
}

async function makeOne(folder: string, mode: number): Promise<void> {
  try {
    await mkdir(folder, { mode })
  } catch (error) {
    // Somebody else was faster.
    if (!(await stat(folder).catch(isNone))?.isDirectory()) throw notMade(folder, error)
  }
}

function makeOneSync(folder: string, mode: number): void {
  try {
    mkdirSync(folder, { mode })
  } catch (error) {
    // Somebody else was faster.
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw notMade(folder, error)
  }
}

function expectFolder(path: string, found: Stats): void {
  if (!found.isDirectory()) throw new Error(`expected a folder at ${path}, found a file`)
}

/** As `throwIfNoEntry: false` has it. */
function isNone(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR') throw error
}

function notMade(folder: string, cause: unknown): Error {
  const reason = codeOf(cause) ?? String(cause)
  const message = `expected to make the folder ${folder}: ${dirname(folder)} takes none (${reason}); name another one`
  return new Error(message, { cause })
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
