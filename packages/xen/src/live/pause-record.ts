import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { listRecords, type ProcessIdentity, readRecord, writeRecord } from '@ullage/native'

/**
 * How far a pause has got. `pausing` and `unpausing` are written before the hypercall and replaced after it: whoever finds
 * one of them cannot tell whether it was made.
 */
export type PauseStage = 'pausing' | 'paused' | 'unpausing'

/** What is known of a domain that we pause, on disk from the moment before it is paused until after it is unpaused. */
export interface PauseRecord {
  readonly domid: number
  /** Tells the domain from a later one with the same number. */
  readonly handle: string
  readonly bootId: string
  /** Somebody else had paused it before us. */
  readonly pausedBefore: boolean
  /** The process that wants the domain to stand still. */
  readonly holder: ProcessIdentity
  readonly stage: PauseStage
}

/** Not `.paused.json`: records of that name are of guests of another hypervisor. */
const SUFFIX = '.xen-paused.json'

export function pauseRecordPath(stateDir: string, handle: string): string {
  return join(stateDir, `${handle}${SUFFIX}`)
}

/** Path of the file that is locked while a domain is open. */
export function lockPathOf(recordPath: string): string {
  return `${recordPath.slice(0, -SUFFIX.length)}.xen-lock`
}

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

/** Reads a record, or undefined when there is none (any more). Throws Error when it is damaged. */
export function readPauseRecord(path: string): PauseRecord | undefined {
  const text = readRecord(path)
  return text === undefined ? undefined : decodePauseRecord(text, path)
}

/** Decodes what `writePauseRecord` has written. Throws Error naming `where`. */
export function decodePauseRecord(text: string, where: string): PauseRecord {
  const record: unknown = JSON.parse(text)
  if (isRecord(record)) return record
  throw new Error(`expected a record of a paused domain in ${where}, found ${text.slice(0, 80)}`)
}

function isRecord(value: unknown): value is PauseRecord {
  if (typeof value !== 'object' || value === null) return false
  const fields: Partial<Record<keyof PauseRecord, unknown>> = value
  const holder: Partial<Record<keyof ProcessIdentity, unknown>> =
    typeof fields.holder === 'object' && fields.holder !== null ? fields.holder : {}
  return (
    Number.isInteger(fields.domid) &&
    typeof fields.handle === 'string' &&
    typeof fields.bootId === 'string' &&
    typeof fields.pausedBefore === 'boolean' &&
    typeof holder.pid === 'number' &&
    typeof holder.startTicks === 'number' &&
    (fields.stage === 'pausing' || fields.stage === 'paused' || fields.stage === 'unpausing')
  )
}
