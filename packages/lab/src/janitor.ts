import { spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * Removes paths when told to, and also when this process dies in any way: a shell in a session of its own waits for the
 * end of a pipe that only this process holds open.
 */
export interface Janitor {
  /** Removes everything now; resolves when it is gone. */
  clean(): Promise<void>
}

/** Starts a janitor for these paths; they need not exist yet. */
export function startJanitor(paths: readonly string[]): Janitor {
  const child = spawn('/bin/sh', ['-c', 'cat > /dev/null; rm -rf -- "$@"', 'lab-janitor', ...paths], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  })
  const gone = once(child, 'exit')
  child.unref()
  return {
    async clean() {
      child.ref()
      child.stdin.end()
      await gone
    },
  }
}
