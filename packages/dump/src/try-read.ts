import { type GuestMemory, OfflineError } from '@ullage/offline-query'
import type { PfnRange } from '@ullage/pages'

/** Fills `into` with the frames of `range`, or returns false when the host cannot give one of them. */
export function tryRead(memory: GuestMemory, range: PfnRange, into: Uint8Array): boolean {
  try {
    memory.read(range, into)
    return true
  } catch (error) {
    if (error instanceof OfflineError && error.code === 'UNREADABLE') return false
    throw error
  }
}
