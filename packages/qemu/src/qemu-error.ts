/**
 * Why QEMU could not be asked. Each code has a line in the README of this package.
 *
 * - `NOT_LISTENING`: nobody listens at the socket's path.
 * - `ACCESS_DENIED`: the socket, its process or the state folder is there, and this user may not use it.
 * - `NOT_A_MONITOR`: something answers, and it does not speak QMP.
 * - `MONITOR_BUSY`: connected without a greeting: another client holds this monitor.
 * - `GUEST_BUSY`: another dump of this guest is running on this host.
 * - `GONE`: QEMU died or closed the monitor while it was in use.
 * - `TIMEOUT`: QEMU did not answer a command in time.
 * - `COMMAND_FAILED`: QEMU refused a command; the message has its own words.
 * - `UNEXPECTED_ANSWER`: QEMU answered in a form that is not known.
 * - `UNSUITABLE`: the guest is in a state or mode in which it must not be dumped.
 * - `RESUMED_BY_OTHERS`: somebody else let the guest run while it had to stand still.
 * - `GUARDIAN_FAILED`: the process that resumes the guest after a crash could not be started.
 * - `BAD_NOTES`: the notes that QEMU, or a file, holds break the ELF format.
 */
export type QemuErrorCode =
  | 'NOT_LISTENING'
  | 'ACCESS_DENIED'
  | 'NOT_A_MONITOR'
  | 'MONITOR_BUSY'
  | 'GUEST_BUSY'
  | 'GONE'
  | 'TIMEOUT'
  | 'COMMAND_FAILED'
  | 'UNEXPECTED_ANSWER'
  | 'UNSUITABLE'
  | 'RESUMED_BY_OTHERS'
  | 'GUARDIAN_FAILED'
  | 'BAD_NOTES'

/** Message: what was expected, what was found, where, what to do. Lower case, no full stop. */
export class QemuError extends Error {
  override readonly name = 'QemuError'
  readonly code: QemuErrorCode
  /** With `COMMAND_FAILED`: QEMU's error class, such as `CommandNotFound`. */
  readonly qmpClass: string | undefined

  constructor(code: QemuErrorCode, message: string, options?: ErrorOptions & { qmpClass?: string }) {
    super(message, options)
    this.code = code
    this.qmpClass = options?.qmpClass
  }
}
