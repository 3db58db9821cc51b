import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { say } from './say.mjs'

/**
 * Runs `action` while no other set-up works on the same cache. The lock is util-linux's flock, held by a child that lives
 * as long as our end of its pipe: it falls in whatever way this process ends.
 */
export async function withLock(folder, action) {
  const argv = ['--exclusive', join(folder, 'lock'), 'sh', '-c', 'echo locked; exec cat > /dev/null']
  const holder = spawn('flock', argv, { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting = setTimeout(() => say('another set-up is at work; waiting for it to end'), 1000)
  try {
    await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')])
    clearTimeout(waiting)
    return await action()
  } finally {
    clearTimeout(waiting)
    holder.stdin.end()
  }
}
