import { checkFd, checkOffset } from './checked-number.ts'
import { lastErrno, libc } from './foreign.ts'
import { systemError } from './system-error.ts'

// include/uapi/asm-generic/unistd.h, include/uapi/linux/mman.h; the number is the same on every 64-bit architecture here.
const SYS_CACHESTAT = 451
const ENOSYS = 38
const EPERM = 1

const syscall: (
  number: number,
  fd: number,
  range: BigUint64Array,
  stat: BigUint64Array,
  flags: number,
) => number | bigint = libc.func('syscall', 'long', ['long', 'long', '_In_ uint64_t *', '_Out_ uint64_t *', 'long'])

/** struct cachestat, in pages of the host. */
export interface CacheStat {
  readonly cachePages: number
  readonly dirtyPages: number
  readonly writebackPages: number
  readonly evictedPages: number
  readonly recentlyEvictedPages: number
}

/**
 * What of [offsetBytes, offsetBytes + sizeBytes) of a file is in the page cache; for shmem, what is resident. Undefined
 * where the kernel has no cachestat(2) (before 6.5) or a seccomp filter hides it. Throws a system error: EOPNOTSUPP on
 * hugetlbfs.
 */
export function cachestat(fd: number, offsetBytes: number, sizeBytes: number): CacheStat | undefined {
  checkFd(fd)
  checkOffset('offset', offsetBytes)
  checkOffset('size', sizeBytes)
  const stat = new BigUint64Array(5)
  const range = new BigUint64Array([BigInt(offsetBytes), BigInt(sizeBytes)])
  if (Number(syscall(SYS_CACHESTAT, fd, range, stat, 0)) !== 0) {
    const errno = lastErrno()
    if (errno === ENOSYS || errno === EPERM) return undefined
    throw systemError('cachestat', errno, `fd ${fd}`)
  }
  const [cachePages = 0, dirtyPages = 0, writebackPages = 0, evictedPages = 0, recentlyEvictedPages = 0] = Array.from(
    stat,
    Number,
  )
  return { cachePages, dirtyPages, writebackPages, evictedPages, recentlyEvictedPages }
}
