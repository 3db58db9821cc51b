import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../bin/ullage.js', import.meta.url))

export interface CallResult {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line as its user does: a process of its own. `stateDir` keeps locks and records out of the host's. */
export async function runUllage(
  args: readonly string[],
  options: { stateDir: string; cwd?: string; signal?: AbortSignal },
): Promise<CallResult> {
  const child = startUllage(args, options)
  const ended = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { status: child.exitCode, stdout, stderr }
}

export function startUllage(
  args: readonly string[],
  options: { stateDir: string; cwd?: string; signal?: AbortSignal },
) {
  return spawn(process.execPath, [bin, ...args], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ULLAGE_STATE_DIR: options.stateDir },
    ...(options.signal ? { signal: options.signal } : {}),
  })
}
