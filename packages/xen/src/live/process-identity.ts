import { readFileSync } from 'node:fs'

/** A process that is told apart from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks from boot to its start: field 22 of /proc/PID/stat. */
  readonly startTicks: number
}

/** This process, as `isRunning` knows it. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, startTicks: startOf(process.pid) ?? 0 }
}

/** True while the process that `identity` names runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return startOf(identity.pid) === identity.startTicks
}

/** Tells one run of this machine from another: domains end with it. */
export function bootId(): string {
  return orMissing(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()) ?? ''
}

function startOf(pid: number): number | undefined {
  const stat = orMissing(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
  // The second field is the command in parentheses and may hold anything; what follows the last one is numbers.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie has ended: its parent has not looked yet.
  return fields === undefined || fields[0] === 'Z' ? undefined : Number(fields[19])
}

function orMissing<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}
