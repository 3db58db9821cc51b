import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Where files are looked for, and how many bytes of them are wanted. */
export interface FileSource {
  readonly folder: string
  readonly wantedBytes: number
}

interface Found {
  readonly path: string
  readonly sizeBytes: number
}

const SMALLEST_BYTES = 1024
const LARGEST_BYTES = 24 << 20

/**
 * Contents of files below the folder, spread over all of it, until `wantedBytes` are reached or there are no more. In the
 * order of their names, so that the same folder gives the same files. No content comes twice: `seen` remembers them.
 */
export function* realFiles(source: FileSource, seen: Set<string>): Generator<Buffer> {
  const files = [...filesBelow(source.folder)]
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  // Where there is more than is wanted, each part of the folder gives its share.
  const share = Math.min(1, (source.wantedBytes * 1.05) / Math.max(1, totalBytes))
  let due = 0
  let given = 0
  for (const { path, sizeBytes } of files) {
    due += sizeBytes * share
    if (given + sizeBytes / 2 > due) continue
    const content = readOrSkip(path)
    if (content === undefined) continue
    const hash = createHash('sha1').update(content).digest('latin1')
    if (seen.has(hash)) continue
    seen.add(hash)
    given += content.length
    yield content
    if (given >= source.wantedBytes) return
  }
}

/** Regular files below a folder, by their names; links are not followed. What cannot be read is passed over. */
function* filesBelow(folder: string): Generator<Found> {
  let entries
  try {
    entries = readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if (isDenied(error)) return
    throw error
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* filesBelow(path)
    else if (entry.isFile()) {
      const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
      if (sizeBytes >= SMALLEST_BYTES && sizeBytes <= LARGEST_BYTES) yield { path, sizeBytes }
    }
  }
}

function readOrSkip(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if (isDenied(error)) return undefined
    throw error
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ENOENT', 'EACCES', 'EPERM'].includes(String(error.code))
}
