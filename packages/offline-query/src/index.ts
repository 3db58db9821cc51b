export { OfflineError, type OfflineErrorCode } from './offline-error.ts'
export {
  type BackingRun,
  type HostState,
  hostStates,
  type OfflineCapabilities,
  type OfflineQuery,
  type UnbackedReads,
} from './offline-query.ts'
export {
  type AddressSpace,
  type GuestIdentity,
  type GuestMemory,
  type GuestNotes,
  type HostMemory,
  identityAddressSpace,
  type LeaseMode,
  type NotDumped,
  type OpenGuest,
  type PauseLease,
  type RamExtent,
} from './open-guest.ts'
