import { closeSync } from 'node:fs'
import { isRunning, lockPath } from '@ullage/native'
import { listPauseRecords, readPauseRecord, removePauseRecord } from './pause-record.ts'
import { type ResumeOutcome, resumePaused } from './resume-paused.ts'

const RESUME_WITHIN_MS = 10_000

/** What became of one guest that an earlier run had left paused. `inUse`: a dump of it, or its guardian, is at work. */
export interface AbandonedGuest {
  /** Its monitor; the record's own path when that cannot be read. */
  readonly socketPath: string
  readonly outcome: ResumeOutcome | 'inUse' | 'failed'
  /** Why it could not be resumed; the record stays for the next call. */
  readonly error?: unknown
}

/**
 * Resumes every guest that a process which is no longer there has stopped and that its guardian could not resume (it was
 * killed with its cgroup). To be called when a worker starts. `stateDir` as in `pauseGuest`; each guest takes at most 10 s.
 */
export async function resumeAbandoned(stateDir: string): Promise<AbandonedGuest[]> {
  const guests: AbandonedGuest[] = []
  for (const path of listPauseRecords(stateDir)) {
    try {
      const guest = await resumeFrom(path)
      if (guest) guests.push(guest)
    } catch (error) {
      guests.push({ socketPath: path, outcome: 'failed', error })
    }
  }
  return guests
}

async function resumeFrom(path: string): Promise<AbandonedGuest | undefined> {
  const record = readPauseRecord(path)
  if (!record) return undefined
  const { socketPath } = record
  if (isRunning(record.holder)) return { socketPath, outcome: 'inUse' }
  const lock = lockPath(path.replace(/\.paused\.json$/, '.lock'))
  if (lock === undefined) return { socketPath, outcome: 'inUse' }
  try {
    const outcome = await resumePaused(record, { withinMs: RESUME_WITHIN_MS })
    removePauseRecord(path)
    return { socketPath, outcome }
  } catch (error) {
    return { socketPath, outcome: 'failed', error }
  } finally {
    closeSync(lock)
  }
}
