import { toSafeNumber } from '@ullage/layout'
import type { PfnRange } from '@ullage/pages'

/** Who sent a message. */
export type DmSender = 'guest' | 'host'

/** Ranges count frames of 4096 bytes, whatever the guest's own page size. Ranges of no frames are left out. */
export type DmMessage =
  | { readonly kind: 'error' }
  | { readonly kind: 'versionRequest'; readonly version: DmVersion; readonly isLastAttempt: boolean }
  | { readonly kind: 'versionResponse'; readonly isAccepted: boolean }
  | ({ readonly kind: 'capabilitiesReport' } & DmCapabilitySet)
  | {
      readonly kind: 'capabilitiesResponse'
      readonly isAccepted: boolean
      readonly hotRemove: boolean
      readonly suppressPressureReports: boolean
    }
  | ({ readonly kind: 'statusReport' } & DmPressure)
  | { readonly kind: 'balloonRequest'; readonly pages: number }
  | { readonly kind: 'balloonResponse'; readonly more: boolean; readonly ranges: readonly PfnRange[] }
  | { readonly kind: 'unballoonRequest'; readonly more: boolean; readonly ranges: readonly PfnRange[] }
  | { readonly kind: 'unballoonResponse' }
  | { readonly kind: 'hotAddRequest'; readonly range: PfnRange | undefined; readonly region: PfnRange | undefined }
  | { readonly kind: 'hotAddResponse'; readonly pages: number; readonly isSuccess: boolean }
  | { readonly kind: 'info'; readonly maxPages: number | undefined }
  | { readonly kind: 'hotRemoveRequest'; readonly pages: number }
  | { readonly kind: 'hotRemoveResponse'; readonly more: boolean; readonly ranges: readonly PfnRange[] }

/** A version of the protocol: 0.3 (Windows 7 hosts), 1.0 (Windows 8), 2.0 (Windows 10). */
export interface DmVersion {
  readonly major: number
  readonly minor: number
}

/** What the guest can do. */
export interface DmCapabilitySet {
  readonly balloon: boolean
  readonly hotAdd: boolean
  readonly hotRemove: boolean
  /** Hot-added memory must start and end at multiples of so many frames. */
  readonly hotAddAlignment: number
}

/** A guest's report of how much memory it needs, in frames; saturates at 2^53 - 1. */
export interface DmPressure {
  readonly available: number
  readonly committed: number
}

/** A u64 of the guest's as a number, saturating: what a guest reports of itself is never a reason to fail. */
export function saturated(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : toSafeNumber(value, 'a count of frames')
}
