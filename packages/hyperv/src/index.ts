export { compareWithRing } from './compare-with-ring.ts'
export { decodeDmMessage } from './decode-dm-message.ts'
export type { DmFault, DmFaultCode, DmFaultCount } from './dm-fault.ts'
export { type DmHostWord, dmHostWord } from './dm-host-word.ts'
export type { DmCapabilitySet, DmMessage, DmPressure, DmSender, DmVersion } from './dm-message.ts'
export { DmMessageError, type DmMessageErrorCode } from './dm-message-error.ts'
export type { DmRanges } from './dm-ranges.ts'
export { DmState } from './dm-state.ts'
export type {
  FileRegion,
  FilesSource,
  HypervSource,
  OpenHypervOptions,
  QmpSource,
  SavedStateSource,
} from './hyperv-source.ts'
export { inWireOrder } from './in-wire-order.ts'
export { openHyperv } from './open-hyperv.ts'
export { parseDmRanges } from './read-dm-ranges.ts'
export { type DmLine, readDmMessages } from './read-dm-messages.ts'
export { type RecoveredChannel, recoverDmMessages } from './recover-dm-messages.ts'
