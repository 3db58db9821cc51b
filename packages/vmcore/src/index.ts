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
