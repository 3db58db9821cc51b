import { checkFd, checkOffset } from './checked-number.ts'
import { lastErrno, libc } from './foreign.ts'
import { systemError } from './system-error.ts'

// include/uapi/linux/falloc.h
const FALLOC_FL_KEEP_SIZE = 1
const FALLOC_FL_PUNCH_HOLE = 2
const EINTR = 4

const fallocate: (fd: number, mode: number, offset: number, length: number) => number = libc.func('fallocate', 'int', [
  'int',
  'int',
  'int64_t',
  'int64_t',
])

function changeSpace(fd: number, mode: number, offsetBytes: number, sizeBytes: number): void {
  checkFd(fd)
  checkOffset('offset', offsetBytes)
  checkOffset('size', sizeBytes)
  while (fallocate(fd, mode, offsetBytes, sizeBytes) !== 0) {
    const errno = lastErrno()
    if (errno !== EINTR) throw systemError('fallocate', errno, `fd ${fd}, ${sizeBytes} bytes at offset ${offsetBytes}`)
  }
}

/** Gives back the space of `sizeBytes` bytes at `offsetBytes`, which read as zeros from then on; the size stays. */
export function punchHole(fd: number, offsetBytes: number, sizeBytes: number): void {
  changeSpace(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offsetBytes, sizeBytes)
}

/**
 * Reserves space for `sizeBytes` bytes at `offsetBytes` without changing the file's size: a later write there cannot fail
 * for want of space. Throws a system error: ENOSPC, or EOPNOTSUPP where the file system cannot.
 */
export function reserveSpace(fd: number, offsetBytes: number, sizeBytes: number): void {
  changeSpace(fd, FALLOC_FL_KEEP_SIZE, offsetBytes, sizeBytes)
}
