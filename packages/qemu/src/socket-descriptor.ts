import type { Socket } from 'node:net'
import { QemuError } from './qemu-error.ts'

/**
 * The file descriptor under a connected socket. Node keeps it in the handle of every pipe and TCP socket and has no public
 * name for it; foreign calls (SO_PEERCRED, SCM_RIGHTS) need it.
 */
export function socketDescriptor(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  if (typeof fd !== 'number' || fd < 0) throw new QemuError('GONE', 'the connection to qemu is closed already')
  return fd
}
