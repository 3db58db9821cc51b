import { closeSync } from 'node:fs'
import { isRunning, lockPath } from '@ullage/native'
import type { Hypervisor } from './hypervisor.ts'
import { listPauseRecords, lockPathOf, readPauseRecord, removePauseRecord } from './pause-record.ts'
import { type PauseOutcome, settlePause } from './settle-pause.ts'

/** What became of one domain that an earlier run had left paused. `inUse`: a dump of it, or its guardian, is at work. */
export interface AbandonedDomain {
  /** Its number; the record's own path when that cannot be read. */
  readonly guest: string
  readonly outcome: PauseOutcome | 'inUse' | 'failed'
  /** Why it could not be resumed; the record stays for the next call. */
  readonly error?: unknown
}

/**
 * Takes back every pause of a process that is no longer there and whose guardian could not do it (it was killed with its
 * cgroup). To be called when a worker starts. Nothing of Xen's is loaded where there is no record.
 */
export async function resumeAbandonedDomains(
  stateDir: string,
  open: () => Promise<Hypervisor> = openHypervisor,
): Promise<AbandonedDomain[]> {
  const domains: AbandonedDomain[] = []
  for (const path of listPauseRecords(stateDir)) {
    try {
      const domain = await resumeFrom(path, open)
      if (domain) domains.push(domain)
    } catch (error) {
      domains.push({ guest: path, outcome: 'failed', error })
    }
  }
  return domains
}

async function openHypervisor(): Promise<Hypervisor> {
  const { XenHypervisor } = await import('./xen-hypervisor.ts')
  return XenHypervisor.open()
}

async function resumeFrom(path: string, open: () => Promise<Hypervisor>): Promise<AbandonedDomain | undefined> {
  const record = readPauseRecord(path)
  if (!record) return undefined
  const guest = `domain ${record.domid}`
  if (isRunning(record.holder)) return { guest, outcome: 'inUse' }
  const lock = lockPath(lockPathOf(path))
  if (lock === undefined) return { guest, outcome: 'inUse' }
  try {
    using hypervisor = await open()
    const outcome = settlePause(hypervisor, record)
    removePauseRecord(path)
    return { guest, outcome }
  } catch (error) {
    return { guest, outcome: 'failed', error }
  } finally {
    closeSync(lock)
  }
}
