import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { QmpClient } from '@ullage/qemu'

const DEADLINE_MS = 30_000

/** A real QEMU without a kernel: its firmware runs and finds nothing to boot. Enough for everything a monitor does. */
export interface FirmwareGuest extends AsyncDisposable {
  readonly pid: number
  readonly folder: string
  /** QMP sockets: one for the code under test, one for the test's own eyes. */
  readonly socketPath: string
  readonly observerPath: string
  readonly process: ChildProcess
}

/** Starts QEMU and returns when both its monitors greet. `args` follow the defaults. */
export async function startFirmwareGuest(args: readonly string[] = []): Promise<FirmwareGuest> {
  const folder = mkdtempSync('/tmp/ullage-qemu-')
  const socketPath = join(folder, 'qmp')
  const observerPath = join(folder, 'observer')
  const monitors = [socketPath, observerPath].flatMap((path) => ['-qmp', `unix:${path},server=on,wait=off`])
  const machine = ['-accel', 'tcg', '-machine', 'q35', '-m', '64', '-display', 'none', '-nodefaults']
  const child = spawn('qemu-system-x86_64', [...machine, ...monitors, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const dispose = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    for (const path of [socketPath, observerPath]) {
      await until(`${path} greets`, () => {
        if (child.exitCode !== null) throw new Error(`qemu has ended: ${said}`)
        return greets(path)
      })
    }
  } catch (error) {
    await dispose()
    throw error
  }
  return { pid: child.pid ?? 0, folder, socketPath, observerPath, process: child, [Symbol.asyncDispose]: dispose }
}

async function greets(path: string): Promise<boolean> {
  try {
    const client = await QmpClient.connect(path)
    client.close()
    return true
  } catch {
    return false
  }
}

/** Polls `condition` until it holds; throws after `withinMs`. */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  withinMs = DEADLINE_MS,
): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain: ${what}`)
    await delay(20)
  }
}

/** The process's state in /proc, or undefined when it has ended. */
export function processState(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const state = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[0]
    return state === 'Z' ? undefined : state
  } catch {
    return undefined
  }
}
