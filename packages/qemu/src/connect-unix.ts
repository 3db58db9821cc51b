import { createConnection, type Socket } from 'node:net'
import { QemuError } from './qemu-error.ts'

/** A connected stream socket to `socketPath`. Throws NOT_LISTENING, ACCESS_DENIED, MONITOR_BUSY or the signal's reason. */
export function connectUnix(socketPath: string, options: { signal?: AbortSignal | undefined }): Promise<Socket> {
  const { signal } = options
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path: socketPath })
    const settle = (): void => {
      socket.removeAllListeners('connect')
      socket.removeAllListeners('error')
      signal?.removeEventListener('abort', onAbort)
    }
    const onAbort = (): void => {
      settle()
      socket.destroy()
      reject(signal?.reason)
    }
    socket.once('connect', () => {
      settle()
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      settle()
      reject(connectError(socketPath, error))
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

const start = (path: string): string => `start qemu with -qmp unix:${path},server=on,wait=off, or correct the path`

/** What a failed connect(2) means for a person. */
function connectError(path: string, cause: NodeJS.ErrnoException): QemuError {
  if (cause.code === 'ENOENT') {
    return new QemuError('NOT_LISTENING', `expected a qmp socket, found nothing at ${path}; ${start(path)}`, { cause })
  }
  if (cause.code === 'ECONNREFUSED') {
    const found = 'found no process that listens on it (qemu has ended, or it is no socket)'
    return new QemuError('NOT_LISTENING', `expected a qmp socket at ${path}, ${found}; ${start(path)}`, { cause })
  }
  if (cause.code === 'EACCES' || cause.code === 'EPERM') {
    const what = `expected to be let in at the qmp socket ${path}, found permission denied`
    return new QemuError('ACCESS_DENIED', `${what}; run as root or as qemu's user`, { cause })
  }
  if (cause.code === 'EAGAIN') return new QemuError('MONITOR_BUSY', busyText(path), { cause })
  return new QemuError('NOT_LISTENING', `cannot connect to ${path}: ${cause.message}; ${start(path)}`, { cause })
}

/** One monitor serves one client: the next is connected and waits, without a greeting, until the first leaves. */
export function busyText(path: string): string {
  return (
    `expected a qmp greeting at ${path}, found silence: another client holds this monitor; ` +
    `give Ullage a QMP socket of its own: -qmp unix:PATH,server=on,wait=off`
  )
}
