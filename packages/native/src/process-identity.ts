import { readFileSync } from 'node:fs'

/** A process that is told apart from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks from boot to its start: field 22 of /proc/PID/stat. */
  readonly startTicks: number
}

/** The process `pid`, or undefined when there is none or it has ended. */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  const startTicks = startOf(pid)
  return startTicks === undefined ? undefined : { pid, startTicks }
}

/** This process, as `isRunning` knows it. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, startTicks: startOf(process.pid) ?? 0 }
}

/** True while the process that `identity` names runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return startOf(identity.pid) === identity.startTicks
}

/** What `read` finds in /proc, or undefined when the process or thread is not there (any more). */
export function orMissing<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'ENOTDIR') return undefined
    throw error
  }
}

function startOf(pid: number): number | undefined {
  const stat = orMissing(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
  // The second field is the command in parentheses and may hold anything; what follows the last one is numbers.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie has ended: its parent has not looked yet.
  return fields === undefined || fields[0] === 'Z' ? undefined : Number(fields[19])
}
