import { type Compression, compressions } from '@ullage/vmcore'
import { availableParallelism } from 'node:os'
import { DumpError } from './dump-error.ts'
import type { SpaceNeed } from './space-need.ts'
import { type Trust, trusts } from './verdict.ts'

export type DumpFormat = 'kdump' | 'flattened' | 'elf'

export const dumpFormats = ['kdump', 'flattened', 'elf'] as const satisfies readonly DumpFormat[]

/** What becomes of the page tables of a PV guest, which hold machine frames. */
export type PvTablesMode = 'keep' | 'rewrite' | 'crash'

export const pvTablesModes = ['keep', 'rewrite', 'crash'] as const satisfies readonly PvTablesMode[]

export interface DumpProgress {
  readonly stage: 'classify' | 'write' | 'verify'
  /** Frames, of `total`. */
  readonly done: number
  readonly total: number
}

/**
 * Whoever follows an artifact while it is written. For one that takes it away early each page is decompressed again, and compared,
 * before it is written; the artifact is whole, and every page of it read back, when the dump is done.
 */
export interface ArtifactFollower {
  /** Whether what was written may be taken away before the dump is done. */
  readonly takesEarly: boolean
  /** Where the unfinished file can be opened, by this process, and how large it may become. Called once, before it is written. */
  begin(file: { readonly path: string; readonly atMostBytes: number }): void
  /** Bytes from `position` on were written, and never will be again. What it throws ends the dump. */
  wrote(position: number, bytes: number): void
}

export interface DumpOptions {
  /** Path of the artifact: a file that does not exist in a folder that does. Only a dry run needs none. */
  readonly output?: string
  /**
   * Path of the report, a file that does not exist either; beside the artifact, `<output>.report.json`, unless it says
   * otherwise. A dry run writes it too, where `output` or this is given.
   */
  readonly reportPath?: string
  /** makedumpfile's -d, 0 to 31. */
  readonly level: number
  readonly compression: Compression
  readonly format: DumpFormat
  readonly trust: Trust
  /** Dumps a running guest without stopping it: the dump may contradict itself, and the report says so. */
  readonly live: boolean
  /** Compressing threads. */
  readonly jobs: number
  /**
   * Bytes that pages of a paused guest may take in this process: when all that are written do not take more, they are copied
   * first, and compressed when the guest runs again. 0 to write as they are read.
   */
  readonly memoryBytes: number
  /** False to publish an artifact that was not read back page by page; its hash is taken all the same. */
  readonly verify: boolean
  /**
   * `rewrite` puts the guest's own frame numbers into the page tables of a Xen PV guest, for readers that know nothing of
   * Xen. `crash` does that and adds the list of frames that crash asks for, in frames above guest RAM; makedumpfile cannot
   * filter such a dump. Both are refused for other guests.
   */
  readonly pvTables: PvTablesMode
  /**
   * Asked whether there is room for the artifact, once, before it is written and while nobody stands still for it: of a guest
   * that is going to be stopped, before that. May take as long as it likes; what it rejects with ends the dump. Of a guest that
   * nothing more is known of (one of more than 16 GiB, or of a costly hypervisor), what it needs is at most its RAM. A dry run
   * asks nobody.
   */
  readonly admit?: (need: SpaceNeed) => Promise<void>
  /** Told of the artifact while it is written. */
  readonly follower?: ArtifactFollower
  /** Decides and estimates, writes no artifact. */
  readonly dryRun: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: DumpProgress) => void
}

export const dumpDefaults = {
  level: 31,
  compression: 'zstd',
  format: 'kdump',
  trust: 'guest',
  live: false,
  pvTables: 'keep',
  dryRun: false,
  memoryBytes: 256 * 1024 * 1024,
  verify: true,
  jobs: Math.min(availableParallelism(), 16),
} as const satisfies Partial<DumpOptions>

const MAX_JOBS = 256

/** The most that `memoryBytes` may be: more than any machine has. */
export const maxMemoryBytes = 2 ** 42

/** Throws DumpError `INVALID_OPTION` for a value that cannot be. */
export function checkOptions(options: DumpOptions): void {
  const { level, compression, format, trust, pvTables, jobs, memoryBytes } = options
  if (!Number.isInteger(level) || level < 0 || level > 31) throw invalid('level', 'an integer from 0 to 31', level)
  if (!compressions.includes(compression)) throw invalid('compression', compressions.join(', '), compression)
  if (!dumpFormats.includes(format)) throw invalid('format', dumpFormats.join(', '), format)
  if (!trusts.includes(trust)) throw invalid('trust', trusts.join(', '), trust)
  if (!pvTablesModes.includes(pvTables)) throw invalid('pvTables', pvTablesModes.join(', '), pvTables)
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > MAX_JOBS) {
    throw invalid('jobs', `an integer from 1 to ${MAX_JOBS}`, jobs)
  }
  if (!Number.isInteger(memoryBytes) || memoryBytes < 0 || memoryBytes > maxMemoryBytes) {
    throw invalid('memoryBytes', `a number of bytes from 0 to ${maxMemoryBytes}`, memoryBytes)
  }
}

function invalid(option: string, expected: string, found: unknown): DumpError {
  return new DumpError('INVALID_OPTION', `${option}: expected ${expected}, found ${JSON.stringify(found)}`)
}
