import { getSystemErrorMap } from 'node:util'

/** An error of a system call, shaped like Node's own: `code` such as `ENXIO`, negative `errno`, `syscall`. */
export interface SystemError extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string
}

/**
 * The error for a system call that set `errno` (positive, as in C).
 *
 * @param about what it was asked, such as `fd 7 at offset 4096`; appended to the message.
 */
export function systemError(syscall: string, errno: number, about?: string): SystemError {
  const [code, text] = getSystemErrorMap().get(-errno) ?? [`ERRNO_${errno}`, 'unknown error']
  const message = `${code}: ${text}, ${syscall}${about === undefined ? '' : ` ${about}`}`
  return Object.assign(new Error(message), { code, errno: -errno, syscall })
}
