export type { FileRegion, FilesSource, HypervSource, OpenHypervOptions } from './hyperv-source.ts'
