/** Throws RangeError unless `value` is an integer from 0 to 2^53 - 1: what C would take as another number never gets there. */
export function checkOffset(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${name} must be an integer from 0 to 2^53 - 1, found ${value}`)
  }
}

/** Throws RangeError unless `fd` can be a file descriptor. */
export function checkFd(fd: number): void {
  if (!Number.isInteger(fd) || fd < 0 || fd > 0x7fff_ffff) {
    throw new RangeError(`a file descriptor must be an integer from 0 to 2147483647, found ${fd}`)
  }
}
