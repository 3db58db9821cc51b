export { openDecompress } from './decompress.ts'
export { DumpError, type DumpErrorCode } from './dump-error.ts'
export { dumpGuest } from './dump-guest.ts'
export {
  type ArtifactFollower,
  type DumpFormat,
  type DumpOptions,
  type DumpProgress,
  dumpDefaults,
  dumpFormats,
  maxMemoryBytes,
  type PvTablesMode,
  pvTablesModes,
} from './dump-options.ts'
export { type Fate, fates, type GuestClass, guestClasses, type HostState, hostStates } from './frame-codes.ts'
export { type HashedFile, hashFile } from './hash-file.ts'
export type { GiveBack } from './give-back.ts'
export { type GuardOptions, type GuardReport, guardOf } from './guard-of.ts'
export type { GuardedKind, GuardedRange } from './guard-ranges.ts'
export type { MissingRun, Touch } from './missing-runs.ts'
export { LocalArtifact } from './local-artifact.ts'
export { type PagesLayout, type PagesOptions, type PagesReport, pagesOf } from './pages-of.ts'
export { type DumpPlan, type HostWord, type PlanRun, planDump, type Witnesses } from './plan-dump.ts'
export type {
  ClassMatrix,
  Disagreements,
  DumpReport,
  FrameCounts,
  HypervisorReport,
  PvTablesReport,
  Warning,
} from './report.ts'
export type { SpaceNeed } from './space-need.ts'
export { type Policy, type Trust, trusts } from './verdict.ts'
export { type VerifiedArtifact, verifyArtifact } from './verify-artifact.ts'
