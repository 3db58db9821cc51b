import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isObject } from './json-fields.ts'
import type { ProcessIdentity } from './qemu-process.ts'

/** What is known of a guest that we stop, on disk from the moment before it stops until it runs again. */
export interface PauseRecord {
  readonly socketPath: string
  readonly qemu: ProcessIdentity
  /** The process that stops the guest. */
  readonly holder: ProcessIdentity
}

const SUFFIX = '.paused.json'

export function pauseRecordPath(stateDir: string, guestKey: string): string {
  return join(stateDir, `${guestKey}${SUFFIX}`)
}

/** Writes the record so that a reader finds all of it or nothing; makes its folder when missing. */
export function writePauseRecord(path: string, record: PauseRecord): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // Whoever writes it holds the guest's lock, so one name will do, and what a dead writer left is written over.
  const partial = `${path}.partial`
  writeFileSync(partial, `${JSON.stringify(record)}\n`, { mode: 0o600, flush: true })
  renameSync(partial, path)
}

export function removePauseRecord(path: string): void {
  rmSync(path, { force: true })
}

/** Paths of the records in `stateDir`; none when there is no such folder. */
export function listPauseRecords(stateDir: string): string[] {
  try {
    return readdirSync(stateDir)
      .filter((name) => name.endsWith(SUFFIX))
      .map((name) => join(stateDir, name))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

/** Reads a record, or undefined when another process has removed it meanwhile. Throws Error when it is damaged. */
export function readPauseRecord(path: string): PauseRecord | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  return decodePauseRecord(text, path)
}

/** Decodes what `writePauseRecord` has written. Throws Error naming `where`. */
export function decodePauseRecord(text: string, where: string): PauseRecord {
  const record: unknown = JSON.parse(text)
  const qemu = isObject(record) ? identityOf(record.qemu) : undefined
  const holder = isObject(record) ? identityOf(record.holder) : undefined
  if (!isObject(record) || typeof record.socketPath !== 'string' || !qemu || !holder) {
    throw new Error(`expected a record of a paused guest in ${where}, found ${text.slice(0, 80)}`)
  }
  return { socketPath: record.socketPath, qemu, holder }
}

function identityOf(value: unknown): ProcessIdentity | undefined {
  if (!isObject(value) || typeof value.pid !== 'number' || typeof value.startTicks !== 'number') return undefined
  return { pid: value.pid, startTicks: value.startTicks }
}
