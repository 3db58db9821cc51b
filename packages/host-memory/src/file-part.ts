import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { fromSystemError, HostMemoryError } from './host-memory-error.ts'

/** A part of a file that holds guest RAM. */
export interface FilePart {
  /** Descriptor open for reading. The source owns it from now on and closes it. */
  readonly fd: number
  /** For messages: its path. */
  readonly about: string
  /** Where in the file the source starts. */
  readonly offsetBytes: number
  readonly sizeBytes: number
}

/** Opens a regular file for reading without ever waiting for a writer, as opening a pipe would. */
export function openRegularFile(path: string): number {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch (error) {
    throw fromSystemError(error, `cannot open ${path}`)
  }
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  throw new HostMemoryError('INVALID', `${path} is not a regular file, and only such a file can hold guest memory`)
}

/** Throws HostMemoryError `INVALID` unless `part` is not empty and lies inside its file. */
export function checkPart({ fd, about, offsetBytes, sizeBytes }: FilePart): void {
  for (const [name, value] of [
    ['offset', offsetBytes],
    ['size', sizeBytes],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new HostMemoryError(
        'INVALID',
        `the ${name} of guest memory in ${about} must be a number of bytes, found ${value}`,
      )
    }
  }
  if (sizeBytes === 0) throw new HostMemoryError('INVALID', `the part of ${about} that holds guest memory is empty`)
  const fileBytes = fstatSync(fd).size
  if (offsetBytes + sizeBytes > fileBytes) {
    throw new HostMemoryError(
      'INVALID',
      `guest memory should be at bytes [${offsetBytes}, ${offsetBytes + sizeBytes}) of ${about}, ` +
        `which has only ${fileBytes} bytes: the file was truncated, or the offset or size is wrong`,
    )
  }
}

/** Closes `fd` the first time it is called. */
export function closeOnce(fd: number): () => void {
  let open = true
  return () => {
    if (open) closeSync(fd)
    open = false
  }
}
