import { hash } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** A file that a bundle was made of: its path below the root, bytes, time of its last change in ms, and content. */
export type Input = readonly [path: string, sizeBytes: number, mtimeMs: number, sha256: string]

/**
 * What decides what becomes of `modules` (absolute paths): they themselves and the package.json by which each was found. Of
 * other people's packages only that: it changes when they do.
 */
export function listInputs(root: string, modules: Iterable<string>): Input[] {
  const ours = [...modules].filter((id) => !isForeign(id))
  return [...new Set([...ours, ...[...modules].map(manifestOf)])].sort().map((file) => {
    const { size, mtimeMs } = statSync(file)
    return [relative(root, file), size, mtimeMs, hash('sha256', readFileSync(file))] as const
  })
}

/** True for a module of other people's. */
export function isForeign(id: string): boolean {
  return id.includes('/node_modules/')
}

/** The package.json of the package that `file` belongs to: the nearest with a name. */
export function manifestOf(file: string): string {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json')
    if (existsSync(manifest) && 'name' in JSON.parse(readFileSync(manifest, 'utf8'))) return manifest
    if (folder === dirname(folder))
      throw new Error(`expected ${file} to be in a package, found no package.json above it`)
  }
}
