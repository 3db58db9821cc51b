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
  /**
   * True when page tables that a vCPU has loaded, or what a VMCOREINFO leads to, are in guest RAM that could not be read: there
   * may be a kernel, and the host has no memory for what it relies on.
   */
  readonly unreadable: boolean

  constructor(code: LinuxGuestErrorCode, message: string, options: { readonly unreadable: boolean }) {
    super(message)
    this.code = code
    this.unreadable = options.unreadable
  }
}
