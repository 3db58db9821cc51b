import { checkFd } from './checked-number.ts'
import { lastErrno, libc } from './foreign.ts'
import { systemError } from './system-error.ts'

// include/uapi/asm-generic/fcntl.h
const LOCK_EX = 2
const LOCK_NB = 4
const LOCK_UN = 8
const EINTR = 4
const EWOULDBLOCK = 11

const flock: (fd: number, operation: number) => number = libc.func('flock', 'int', ['int', 'int'])

/**
 * Takes the exclusive flock(2) of the file behind `fd` without waiting. True when this open file has it now (also when it
 * had it before), false when another one does. It is given back by `unlockFile`, or when the last descriptor of this open
 * file is closed, that is also when the process dies. Throws a system error.
 */
export function lockFile(fd: number): boolean {
  checkFd(fd)
  while (flock(fd, LOCK_EX | LOCK_NB) !== 0) {
    const errno = lastErrno()
    if (errno === EWOULDBLOCK) return false
    if (errno !== EINTR) throw systemError('flock', errno, `fd ${fd}`)
  }
  return true
}

/** Gives back what `lockFile` took. Throws a system error. */
export function unlockFile(fd: number): void {
  checkFd(fd)
  if (flock(fd, LOCK_UN) !== 0) throw systemError('flock', lastErrno(), `fd ${fd}`)
}
