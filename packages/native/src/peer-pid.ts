import { checkFd } from './checked-number.ts'
import { lastErrno, libc } from './foreign.ts'
import { systemError } from './system-error.ts'

// asm-generic/socket.h; struct ucred { pid_t pid; uid_t uid; gid_t gid; }
const SOL_SOCKET = 1
const SO_PEERCRED = 17
const UCRED_BYTES = 12

const getsockopt: (fd: number, level: number, name: number, value: Uint8Array, length: Uint32Array) => number =
  libc.func('getsockopt', 'int', ['int', 'int', 'int', '_Out_ uint8_t *', '_Inout_ uint32_t *'])

/**
 * Process id of the other end of a connected unix socket (SO_PEERCRED): of the process that called connect, or listen, at
 * that time. Zero when it lives in a pid namespace that this process cannot see. Throws a system error.
 */
export function peerPid(socketFd: number): number {
  checkFd(socketFd)
  const ucred = new Uint8Array(UCRED_BYTES)
  const length = new Uint32Array([UCRED_BYTES])
  if (getsockopt(socketFd, SOL_SOCKET, SO_PEERCRED, ucred, length) !== 0) {
    throw systemError('getsockopt', lastErrno(), `fd ${socketFd}`)
  }
  return new DataView(ucred.buffer).getInt32(0, true)
}
