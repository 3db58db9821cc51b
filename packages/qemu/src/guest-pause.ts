/** Holds a guest's vCPUs stopped. Disposing it resumes the guest; a QEMU that has ended meanwhile is no error then. */
export interface GuestPause extends AsyncDisposable {
  /** `paused`: by this lease. `stopped`: it was not running before, and stays so. */
  readonly mode: 'paused' | 'stopped'
  /** Process id of the guardian; undefined when there is none: the guest was stopped already, or it runs again. */
  readonly guardianPid: number | undefined
  /**
   * Lets the guest run when this lease has stopped it, and returns for how many milliseconds it stood still for us: from
   * before `stop` was sent until QEMU said that it runs. Idempotent. Throws RESUMED_BY_OTHERS when somebody else let the
   * guest run meanwhile, GONE when QEMU has died.
   */
  resume(): Promise<number>
}
