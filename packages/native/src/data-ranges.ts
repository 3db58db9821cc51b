import { checkFd, checkOffset } from './checked-number.ts'
import { lastErrno, libc } from './foreign.ts'
import { systemError } from './system-error.ts'

// include/uapi/linux/fs.h, asm-generic/errno-base.h
const SEEK_DATA = 3
const SEEK_HOLE = 4
const ENXIO = 6

const lseek: (fd: number, offset: number, whence: number) => number | bigint = libc.func('lseek', 'int64_t', [
  'int',
  'int64_t',
  'int',
])

function seek(fd: number, offsetBytes: number, whence: number): number | undefined {
  checkFd(fd)
  checkOffset('offset', offsetBytes)
  const found = Number(lseek(fd, offsetBytes, whence))
  if (found >= 0) return found
  const errno = lastErrno()
  if (errno === ENXIO) return undefined
  throw systemError('lseek', errno, `fd ${fd} at offset ${offsetBytes}`)
}

/**
 * Offset in bytes of the first byte of data at or after `offsetBytes`, or undefined when only a hole follows or the
 * offset is at or beyond the end of the file. On shmem a page that was swapped out is data (Linux mm/shmem.c), on
 * hugetlbfs the whole file is. Moves the file offset of `fd`, so `fd` must not be read by offset elsewhere. Throws a
 * system error.
 */
export function seekData(fd: number, offsetBytes: number): number | undefined {
  return seek(fd, offsetBytes, SEEK_DATA)
}

/**
 * Offset in bytes of the first hole at or after `offsetBytes`; the end of the file counts as one. Undefined when the
 * offset is at or beyond the end of the file. Moves the file offset of `fd`. Throws a system error.
 */
export function seekHole(fd: number, offsetBytes: number): number | undefined {
  return seek(fd, offsetBytes, SEEK_HOLE)
}

/** Bytes of a file: the half-open range [startBytes, endBytes). */
export interface ByteRange {
  readonly startBytes: number
  readonly endBytes: number
}

/**
 * The ranges of `fd` inside `within` that hold data: ascending, disjoint, never touching, clipped to `within`. They come
 * one at a time, for a file may have millions. Throws a system error, and an Error when the file shrinks meanwhile.
 */
export function* dataRanges(fd: number, within: ByteRange): Generator<ByteRange> {
  let at = within.startBytes
  while (at < within.endBytes) {
    const startBytes = seekData(fd, at)
    if (startBytes === undefined || startBytes >= within.endBytes) return
    const hole = seekHole(fd, startBytes)
    if (hole === undefined) {
      throw new Error(`fd ${fd} was truncated to less than ${startBytes} bytes while its data was looked for`)
    }
    // A hole punched between the two calls: nothing is left at startBytes, so look again from there.
    if (hole > startBytes) yield { startBytes, endBytes: Math.min(hole, within.endBytes) }
    at = Math.max(hole, startBytes)
  }
}
