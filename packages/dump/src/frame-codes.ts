import { ClassRuns, GUEST_CLASS, type GuestClass, guestClasses } from '@ullage/linux-guest'
import { type HostState, hostStates } from '@ullage/offline-query'

/** Code of a host state in typed arrays: its index in `hostStates`. */
export const HOST_STATE = { backed: 0, swapped: 1, unbacked: 2, unknown: 3 } as const satisfies Record<
  HostState,
  number
>

/** What becomes of a frame: stored with its content, stored as a descriptor of zeros, or not stored. */
export type Fate = 'write' | 'zero' | 'leaveOut'

export const fates = ['write', 'zero', 'leaveOut'] as const satisfies readonly Fate[]

/** Code of a fate in typed arrays: its index in `fates`. */
export const FATE = { write: 0, zero: 1, leaveOut: 2 } as const satisfies Record<Fate, number>

export { ClassRuns, GUEST_CLASS, type GuestClass, guestClasses, type HostState, hostStates }
