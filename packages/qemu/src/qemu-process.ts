import { readdirSync, readFileSync } from 'node:fs'
import { orMissing, type ProcessIdentity, processIdentity } from '@ullage/native'
import { isObject, toList } from './json-fields.ts'
import { QemuError } from './qemu-error.ts'
import type { CommandOptions, QmpClient } from './qmp-client.ts'

/**
 * The QEMU process behind `client`. The socket tells who listened on it, which is a manager where that passed QEMU a
 * listening socket; so the process must be the one that runs the guest's vCPU threads. Throws ACCESS_DENIED, UNSUITABLE.
 */
export async function qemuProcess(client: QmpClient, options: CommandOptions = {}): Promise<ProcessIdentity> {
  const threads = await vcpuThreads(client, options)
  const listener = client.peerPid()
  const candidates = [listener, ...threads.map(threadGroup)]
  for (const pid of candidates) {
    const identity = pid !== undefined && pid > 0 && runsThreads(pid, threads) ? processIdentity(pid) : undefined
    if (identity) return identity
  }
  throw new QemuError(
    'ACCESS_DENIED',
    `expected the qemu process behind ${client.socketPath} in /proc, found none ` +
      `(listener ${listener}, vcpu threads ${threads.join(', ')}); run in the host's pid namespace, as root`,
  )
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
