import { mkdtempSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { collectStderr, killAndWait, spawnBound } from './bound-process.ts'
import { startJanitor } from './janitor.ts'
import { LabError } from './lab-error.ts'
import { waitUntil } from './wait-until.ts'

/** A private Redis. It dies with this process, and its folder with it. */
export interface LabRedis extends AsyncDisposable {
  readonly socketPath: string
  /** `unix:` and the socket's path. */
  readonly url: string
  readonly pid: number
  readonly folder: string
}

/** Starts redis-server on a unix socket of its own, with an append-only file in a folder of its own; no port is opened. */
export async function startRedis(options: { signal?: AbortSignal } = {}): Promise<LabRedis> {
  await using cleanup = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'ullage-redis-'))
  const janitor = startJanitor({ paths: [folder] })
  cleanup.defer(() => janitor.clean())
  const socketPath = join(folder, 'redis.sock')
  const argv = ['redis-server', '--port', '0', '--unixsocket', socketPath, '--dir', folder]
  argv.push('--appendonly', 'yes', '--save', '', '--maxmemory-policy', 'noeviction', '--loglevel', 'warning')
  const child = spawnBound(argv, ['ignore', 'ignore', 'pipe'])
  cleanup.defer(() => killAndWait(child))
  const stderr = collectStderr(child)
  await waitUntil(
    async () => {
      if (child.exitCode !== null) throw new LabError(`redis-server ended with status ${child.exitCode}: ${stderr()}`)
      return answers(socketPath)
    },
    { what: () => 'redis-server does not answer', timeoutMs: 20_000, signal: options.signal },
  )
  const resources = cleanup.move()
  return {
    socketPath,
    url: `unix:${socketPath}`,
    pid: child.pid ?? 0,
    folder,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => socket.write('PING\r\n'))
    socket.once('data', (reply) => {
      socket.destroy()
      resolve(reply.toString().startsWith('+PONG'))
    })
    socket.once('error', () => resolve(false))
  })
}
