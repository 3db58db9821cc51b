import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { listRecords, type ProcessIdentity, readRecord, writeRecord } from '@ullage/native'
import { isObject } from './json-fields.ts'

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

/** Whoever writes it holds the guest's lock. */
export function writePauseRecord(path: string, record: PauseRecord): void {
  writeRecord(path, record)
}

export function removePauseRecord(path: string): void {
  rmSync(path, { force: true })
}

/** Paths of the records in `stateDir`; none when there is no such folder. */
export function listPauseRecords(stateDir: string): string[] {
  return listRecords(stateDir, SUFFIX)
}

/** Reads a record, or undefined when another process has removed it meanwhile. Throws Error when it is damaged. */
export function readPauseRecord(path: string): PauseRecord | undefined {
  const text = readRecord(path)
  return text === undefined ? undefined : decodePauseRecord(text, path)
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
