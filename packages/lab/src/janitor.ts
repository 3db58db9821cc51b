import { spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * Removes paths and gives huge pages back when told to, and also when this process dies in any way: a shell in a session of its own waits for the
 * end of a pipe that only this process holds open.
 */
export interface Janitor {
  /** Removes everything now; resolves when it is gone. */
  clean(): Promise<void>
}

export interface JanitorOptions {
  /** Files and folders to remove; they need not exist yet. */
  readonly paths: readonly string[]
  /** Huge pages of 2 MiB to give back to the host. */
  readonly hugePages?: number
}

const SCRIPT = `cat > /dev/null
pool=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages; added=$1; shift
[ "$added" -eq 0 ] || echo $(($(cat $pool) - added)) > $pool
rm -rf -- "$@"`

export function startJanitor({ paths, hugePages = 0 }: JanitorOptions): Janitor {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'lab-janitor', `${hugePages}`, ...paths], {
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
