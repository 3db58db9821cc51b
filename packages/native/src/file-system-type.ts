import { checkFd } from './checked-number.ts'
import { lastErrno, libc } from './foreign.ts'
import { systemError } from './system-error.ts'

// include/uapi/linux/magic.h
const names = new Map([
  [0x0102_1994, 'tmpfs'],
  [0x9584_58f6, 'hugetlbfs'],
  [0xef53, 'ext4'],
  [0x5846_5342, 'xfs'],
  [0x9123_683e, 'btrfs'],
  [0x794c_7630, 'overlayfs'],
  [0x8584_58f6, 'ramfs'],
  [0x9fa0, 'proc'],
  [0x6969, 'nfs'],
  [0x6573_5546, 'fuse'],
  [0x2fc1_2fc1, 'zfs'],
])

export interface FileSystemType {
  /** Such as `tmpfs` (also memfd and other shmem), `hugetlbfs`, `ext4`; `0x…` for one without a name here. */
  readonly name: string
  /** Magic number of statfs(2). */
  readonly magic: number
  /** Block size in bytes; on hugetlbfs the size of its pages. */
  readonly blockBytes: number
}

// struct statfs of 64-bit Linux starts with { long f_type; long f_bsize; } and is 120 bytes long.
const STATFS_BYTES = 256
const EINTR = 4
const fstatfs: (fd: number, into: Uint8Array) => number = libc.func('fstatfs', 'int', ['int', '_Out_ uint8_t *'])

/** The file system that the file behind `fd` lives on. Throws a system error. */
export function fileSystemType(fd: number): FileSystemType {
  checkFd(fd)
  const statfs = new Uint8Array(STATFS_BYTES)
  while (fstatfs(fd, statfs) !== 0) {
    const errno = lastErrno()
    if (errno !== EINTR) throw systemError('fstatfs', errno, `fd ${fd}`)
  }
  const view = new DataView(statfs.buffer)
  const magic = view.getUint32(0, true)
  return {
    name: names.get(magic) ?? `0x${magic.toString(16)}`,
    magic,
    blockBytes: Number(view.getBigInt64(8, true)),
  }
}
