import { readdirSync, readFileSync } from 'node:fs'
import { isObject, toList } from './json-fields.ts'
import { QemuError } from './qemu-error.ts'
import type { CommandOptions, QmpClient } from './qmp-client.ts'

/** A process that is told apart from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks from boot to its start: field 22 of /proc/PID/stat. */
  readonly startTicks: number
}

/**
 * The QEMU process behind `client`. The socket tells who listened on it, which is a manager where that passed QEMU a
 * listening socket; so the process must be the one that runs the guest's vCPU threads. Throws ACCESS_DENIED, UNSUITABLE.
 */
export async function qemuProcess(client: QmpClient, options: CommandOptions = {}): Promise<ProcessIdentity> {
  const threads = await vcpuThreads(client, options)
  const listener = client.peerPid()
  const candidates = [listener, ...threads.map(threadGroup)]
  for (const pid of candidates) {
    const startTicks = pid !== undefined && pid > 0 && runsThreads(pid, threads) ? startOf(pid) : undefined
    if (pid !== undefined && startTicks !== undefined) return { pid, startTicks }
  }
  throw new QemuError(
    'ACCESS_DENIED',
    `expected the qemu process behind ${client.socketPath} in /proc, found none ` +
      `(listener ${listener}, vcpu threads ${threads.join(', ')}); run in the host's pid namespace, as root`,
  )
}

/** True while the process that `identity` names runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return startOf(identity.pid) === identity.startTicks
}

/** This process, as `isRunning` knows it. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, startTicks: startOf(process.pid) ?? 0 }
}

async function vcpuThreads(client: QmpClient, options: CommandOptions): Promise<number[]> {
  const threads: number[] = []
  for (const cpu of toList(await client.execute('query-cpus-fast', {}, options), 'query-cpus-fast')) {
    const id = isObject(cpu) ? cpu['thread-id'] : undefined
    if (typeof id === 'number') threads.push(id)
  }
  return threads
}

/**
 * True when `pid` has a thread that calls itself one of `threads`: QEMU tells thread ids of its own pid namespace, which
 * is the last of NSpid where it is not ours.
 */
function runsThreads(pid: number, threads: readonly number[]): boolean {
  const ids = orMissing(() => readdirSync(`/proc/${pid}/task`)) ?? []
  return ids.some((id) => {
    // Other threads come and go while this looks.
    const status = orMissing(() => readFileSync(`/proc/${pid}/task/${id}/status`, 'latin1'))
    return status !== undefined && threads.includes(Number(/^NSpid:.*\s(\d+)$/m.exec(status)?.[1]))
  })
}

function threadGroup(thread: number): number | undefined {
  const status = orMissing(() => readFileSync(`/proc/${thread}/status`, 'latin1'))
  return status === undefined ? undefined : Number(/^Tgid:\s*(\d+)$/m.exec(status)?.[1])
}

function startOf(pid: number): number | undefined {
  const stat = orMissing(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
  // The second field is the command in parentheses and may hold anything; what follows the last one is numbers.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie has ended: its parent has not looked yet.
  return fields === undefined || fields[0] === 'Z' ? undefined : Number(fields[19])
}

/** What `read` finds in /proc, or undefined when the process or thread is not there (any more). */
function orMissing<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'ENOTDIR') return undefined
    throw error
  }
}
