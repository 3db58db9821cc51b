export { abortError, throwIfAborted } from './abort-error.ts'
export { answerBacking } from './answer-backing.ts'
export { checkFrames, checkRead, checkSkip } from './check-frames.ts'
export { type FileGuestParts, fileGuest } from './file-guest.ts'
export { closedGuest, OfflineError, type OfflineErrorCode } from './offline-error.ts'
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
  type FilePiece,
  type GuestIdentity,
  type GuestMemory,
  type GuestNotes,
  type HostMemory,
  type HypervisorFigures,
  identityAddressSpace,
  type LeaseMode,
  type MemoryDevices,
  type NotDumped,
  type OpenGuest,
  type PauseLease,
  type PauseOptions,
  type PopulateOnDemand,
  type RamExtent,
} from './open-guest.ts'
