import type { ChildProcess, StdioOptions } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * Starts a program that the kernel kills when this process dies, be it by SIGKILL (prctl PR_SET_PDEATHSIG, set by
 * util-linux's setpriv, which then becomes the program: the pid is the program's own). It is a session of its own, so
 * that signals to our process group do not reach it.
 */
export function spawnBound(argv: readonly string[], stdio: StdioOptions): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], { stdio, detached: true })
}

/** Kills the process, if it still runs, and waits until it is gone. */
export async function killAndWait(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** What a process wrote to stderr so far, its last 8 KiB. */
export function collectStderr(child: ChildProcess): () => string {
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    text = (text + part).slice(-8192)
  })
  return () => text.trim()
}
