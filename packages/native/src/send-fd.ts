import { addressOf } from './address.ts'
import { checkFd } from './checked-number.ts'
import { lastErrno, libc } from './foreign.ts'
import { systemError } from './system-error.ts'

// include/linux/socket.h, asm-generic/{socket,poll,errno-base}.h
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const MSG_NOSIGNAL = 0x4000
const POLLOUT = 4
const EINTR = 4
const EAGAIN = 11
const ETIMEDOUT = 110

// struct msghdr, struct iovec and struct cmsghdr of 64-bit Linux, and one descriptor behind the last.
const MSGHDR_BYTES = 56
const IOVEC_BYTES = 16
const CMSG_LEN = 20
const CMSG_SPACE = 24

const sendmsg: (fd: number, message: number, flags: number) => number = libc.func('sendmsg', 'int64_t', [
  'int',
  'uintptr_t',
  'int',
])
const poll: (fds: Uint8Array, count: number, timeoutMs: number) => number = libc.func('poll', 'int', [
  '_Inout_ uint8_t *',
  'unsigned long',
  'int',
])

/**
 * Sends `payload` on a connected unix stream socket and the descriptor `fd` with its first byte (SCM_RIGHTS, unix(7)); the
 * other side gets a descriptor of its own and the caller keeps `fd`. Meant for a node `net.Socket`'s own descriptor:
 * its write queue must be empty (`writableLength === 0`), or the payload overtakes what waits there.
 *
 * The socket may be non-blocking: when its buffer is full this waits, at most `timeoutMs` (default 2000) in all, and then
 * throws a system error with code ETIMEDOUT; part of the payload may have left by then, so the connection is of no more
 * use. Throws a system error for everything else, EPIPE when nobody reads (never SIGPIPE).
 */
export function sendFd(socketFd: number, fd: number, payload: Uint8Array, options: { timeoutMs?: number } = {}): void {
  checkFd(socketFd)
  checkFd(fd)
  if (payload.length === 0) throw new RangeError('a descriptor travels with at least one byte of payload, found none')
  const deadline = performance.now() + (options.timeoutMs ?? 2000)
  let sent = 0
  while (sent < payload.length) {
    const message = messageHeader(payload, sent, sent === 0 ? fd : undefined)
    const count = sendmsg(socketFd, addressOf(message, 0, MSGHDR_BYTES), MSG_NOSIGNAL)
    if (count >= 0) {
      sent += count
      continue
    }
    const errno = lastErrno()
    if (errno === EAGAIN) waitWritable(socketFd, deadline)
    else if (errno !== EINTR) throw systemError('sendmsg', errno, `fd ${socketFd}, ${message.length} bytes of header`)
  }
}

/** struct msghdr, then its iovec, then its control message when there is a descriptor to pass. */
function messageHeader(payload: Uint8Array, from: number, fd: number | undefined): Uint8Array {
  const bytes = new Uint8Array(MSGHDR_BYTES + IOVEC_BYTES + CMSG_SPACE)
  const view = new DataView(bytes.buffer)
  const iovec = MSGHDR_BYTES
  const control = iovec + IOVEC_BYTES
  view.setBigUint64(16, BigInt(addressOf(bytes, iovec, IOVEC_BYTES)), true)
  view.setBigUint64(24, 1n, true)
  view.setBigUint64(iovec, BigInt(addressOf(payload, from, payload.length - from)), true)
  view.setBigUint64(iovec + 8, BigInt(payload.length - from), true)
  if (fd !== undefined) {
    view.setBigUint64(32, BigInt(addressOf(bytes, control, CMSG_SPACE)), true)
    view.setBigUint64(40, BigInt(CMSG_SPACE), true)
    view.setBigUint64(control, BigInt(CMSG_LEN), true)
    view.setInt32(control + 8, SOL_SOCKET, true)
    view.setInt32(control + 12, SCM_RIGHTS, true)
    view.setInt32(control + 16, fd, true)
  }
  return bytes
}

function waitWritable(socketFd: number, deadline: number): void {
  const pollfd = new Uint8Array(8)
  const view = new DataView(pollfd.buffer)
  view.setInt32(0, socketFd, true)
  view.setInt16(4, POLLOUT, true)
  for (;;) {
    const left = Math.ceil(deadline - performance.now())
    const ready = left > 0 ? poll(pollfd, 1, left) : 0
    if (ready > 0) return
    if (ready === 0) throw systemError('sendmsg', ETIMEDOUT, `fd ${socketFd}: the other side does not read`)
    const errno = lastErrno()
    if (errno !== EINTR) throw systemError('poll', errno, `fd ${socketFd}`)
  }
}
