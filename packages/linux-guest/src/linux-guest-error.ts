/**
 * Why the guest's own word cannot be had. Each code has a heading in the README of this package.
 *
 * - `NO_VMCOREINFO`: no note, and nothing in readable memory looks like VMCOREINFO.
 * - `NO_VALID_VMCOREINFO`: something does, but the page tables and structures it names do not bear it out.
 * - `KERNEL_NOT_RUNNING`: a kernel is borne out, but no vCPU runs it: it ran before.
 */
export type LinuxGuestErrorCode = 'NO_VMCOREINFO' | 'NO_VALID_VMCOREINFO' | 'KERNEL_NOT_RUNNING'

/** Message: what was expected, what was found, where. Lower case, no full stop. */
export class LinuxGuestError extends Error {
  override readonly name = 'LinuxGuestError'
  readonly code: LinuxGuestErrorCode

  constructor(code: LinuxGuestErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
