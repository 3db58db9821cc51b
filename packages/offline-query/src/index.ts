export { checkFrames, checkSkip } from './check-frames.ts'
export { OfflineError, type OfflineErrorCode } from './offline-error.ts'
export {
  type BackingOptions,
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
  type HypervisorFigures,
  identityAddressSpace,
  type LeaseMode,
  type NotDumped,
  type OpenGuest,
  type PauseLease,
  type PopulateOnDemand,
  type RamExtent,
} from './open-guest.ts'
