import { lastErrno, libc } from './foreign.ts'
import { systemError } from './system-error.ts'

// include/uapi/linux/memfd.h
const MFD_CLOEXEC = 1
const NAME_MAX_BYTES = 249

const create: (name: string, flags: number) => number = libc.func('memfd_create', 'int', ['str', 'unsigned int'])

/**
 * A new, empty file in memory, open for reading and writing, that no path leads to and no child process inherits.
 *
 * @param name what /proc/PID/fd shows of it; 249 bytes at most, without a NUL.
 * @returns the file descriptor; the caller closes it.
 */
export function memfdCreate(name: string): number {
  if (name.includes('\0') || Buffer.byteLength(name) > NAME_MAX_BYTES) {
    throw new RangeError(`the name of a memfd must be at most ${NAME_MAX_BYTES} bytes without NUL`)
  }
  const fd = create(name, MFD_CLOEXEC)
  if (fd < 0) throw systemError('memfd_create', lastErrno(), name)
  return fd
}
