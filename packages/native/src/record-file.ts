import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { orMissing } from './process-identity.ts'

/**
 * Writes `record` as JSON to `path` so that a reader finds all of it or nothing, also after a crash of the machine; makes
 * its folder when missing. One writer at a time: what a dead one left is written over.
 */
export function writeRecord(path: string, record: unknown): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const partial = `${path}.partial`
  writeFileSync(partial, `${JSON.stringify(record)}\n`, { mode: 0o600, flush: true })
  renameSync(partial, path)
}

/** The text of a record, or undefined when there is none (any more). */
export function readRecord(path: string): string | undefined {
  return orMissing(() => readFileSync(path, 'utf8'))
}

/** Paths of the files in `folder` whose names end with `suffix`; none when there is no such folder. */
export function listRecords(folder: string, suffix: string): string[] {
  const names = orMissing(() => readdirSync(folder)) ?? []
  return names.filter((name) => name.endsWith(suffix)).map((name) => join(folder, name))
}
