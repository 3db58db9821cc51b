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
  try {
    return readdirSync(`/proc/${pid}/task`).some((thread) =>
      threads.includes(innermostId(`/proc/${pid}/task/${thread}/status`)),
    )
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

function innermostId(statusPath: string): number {
  return Number(/^NSpid:.*\s(\d+)$/m.exec(readFileSync(statusPath, 'latin1'))?.[1])
}

function threadGroup(thread: number): number | undefined {
  try {
    return Number(/^Tgid:\s*(\d+)$/m.exec(readFileSync(`/proc/${thread}/status`, 'latin1'))?.[1])
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function startOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the command in parentheses and may hold anything; what follows the last one is numbers.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie has ended: its parent has not looked yet.
    return fields[0] === 'Z' ? undefined : Number(fields[19])
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function isMissing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOENT' || code === 'ESRCH' || code === 'ENOTDIR'
}
