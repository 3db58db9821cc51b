import { lastErrno, libc } from './foreign.ts'
import { systemError } from './system-error.ts'

// include/uapi/linux/fcntl.h
const AT_FDCWD = -100
const AT_SYMLINK_FOLLOW = 0x400

const linkat: (oldDir: number, oldPath: string, newDir: number, newPath: string, flags: number) => number = libc.func(
  'linkat',
  'int',
  ['int', 'str', 'int', 'str', 'int'],
)

/**
 * Gives the open file `fd`, which may have no name (O_TMPFILE), the name `path`, on the same file system. Never replaces:
 * throws a SystemError EEXIST when the name is taken. Needs /proc (open(2), "O_TMPFILE").
 */
export function linkOpenFile(fd: number, path: string): void {
  if (path.includes('\0')) throw new RangeError('a path has no NUL')
  if (linkat(AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0) {
    throw systemError('linkat', lastErrno(), path)
  }
}
