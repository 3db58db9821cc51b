export type { Decompress, Decompressor, OpenDecompress, PageLocation } from './decompress.ts'
export { describeVmcore, type VmcoreDescription } from './describe-vmcore.ts'
export { startElf } from './elf-writer.ts'
export { startFlattened } from './flattened-writer.ts'
export { startKdump } from './kdump-writer.ts'
export { type OpenVmcoreOptions, openVmcore } from './open-vmcore.ts'
export type { CheckedFile, OpenPageChecker, PageChecker } from './page-checker.ts'
export type { PageTable } from './page-table.ts'
export { type PageFindings, PageVerifier } from './page-verifier.ts'
export type { SharedBytes } from './shared-bytes.ts'
export { type VerifyOptions, type VerifySummary, type VerifyThreads, verifyVmcore } from './verify-vmcore.ts'
export type { FrameState, StoredPages, Uname, Vmcore, VmcoreInfo } from './vmcore.ts'
export { VmcoreError, type VmcoreErrorCode } from './vmcore-error.ts'
export {
  type Compression,
  compressions,
  type PageBatch,
  type PositionedSink,
  pageFlags,
  type VmcoreFrames,
  type VmcoreHeader,
  type VmcoreSummary,
  type VmcoreWriter,
} from './vmcore-writer.ts'
export { isZeroPage } from './zero-page.ts'
