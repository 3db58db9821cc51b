/** How large the guest of the benchmark is, in MiB. */
export interface GuestSize {
  readonly memMiB: number
  readonly balloonMiB: number
  /** Varied content put into its memory. */
  readonly contentMiB: number
}

export const FULL_GUEST: GuestSize = { memMiB: 4096, balloonMiB: 1024, contentMiB: 1792 }

/** For a look at the benchmark itself. */
export const QUICK_GUEST: GuestSize = { memMiB: 1024, balloonMiB: 256, contentMiB: 384 }
