import type { PfnRange } from '@ullage/pages'
import type { ByteSource } from './byte-source.ts'
import type { Decompress, PageLocation } from './decompress.ts'
import type { PageTable } from './page-table.ts'
import type { Compression } from './vmcore-writer.ts'

export interface Uname {
  readonly sysname: string
  readonly nodename: string
  readonly release: string
  readonly version: string
  readonly domainname: string
}

/** What the headers of a vmcore say. Everything here was written by others: text may be anything. */
export interface VmcoreInfo {
  readonly format: 'kdump' | 'elf'
  /** True when the file is a flattened one around that format. */
  readonly flattened: boolean
  /** As the file spells it: `x86_64`, `aarch64`. */
  readonly machine: string
  readonly pageBytes: number
  /** kdump only. */
  readonly uname: Uname | undefined
  /** When the dump was taken; undefined when the file does not say. */
  readonly timestamp: Date | undefined
  /** makedumpfile's -d value; undefined in ELF. */
  readonly dumpLevel: number | undefined
  /** What the header names; single pages may differ. `none` in ELF. */
  readonly compression: Compression
  /** Physical load offset of the kernel; undefined in ELF. */
  readonly physBase: bigint | undefined
  /** kdump: what the header says. ELF: number of NT_PRSTATUS notes. */
  readonly cpus: number
  /** First frame number after guest memory. */
  readonly maxPfn: number
  /** Number of frames with content. */
  readonly storedFrames: number
  readonly elfNotes: Uint8Array
  /** Text of the VMCOREINFO note. */
  readonly vmcoreinfo: string | undefined
  /** The writer marked the dump as cut short. */
  readonly incomplete: boolean
  /** kdump: first byte that page data may have. */
  readonly dataStart: number
  /** First byte after everything that is not a page. */
  readonly headersEnd: number
}

/** `stored`: the file has its content. `excluded`: guest memory, left out. `hole`: no guest memory. */
export type FrameState = 'stored' | 'excluded' | 'hole'

/** Consecutive stored frames, ascending, and where their pages stand. */
export interface StoredPages extends PageTable {
  readonly pfns: Float64Array
}

/**
 * One vmcore, opened. Nothing in it is believed: every count is checked before it is a loop or an allocation.
 * In ELF a frame is `stored` when one segment has all of it in the file; the rest of a segment (p_filesz to p_memsz) is
 * `excluded`, though some readers take it for zeros.
 */
export interface Vmcore extends AsyncDisposable {
  readonly info: VmcoreInfo
  /** The file; of a flattened one, the plain file inside. */
  readonly bytes: ByteSource
  readonly decompress: Decompress
  /** Frames of guest memory: maximal runs, ascending. */
  present(options?: { signal?: AbortSignal }): AsyncIterable<PfnRange>
  /** Frames with content: maximal runs, ascending. */
  stored(options?: { signal?: AbortSignal }): AsyncIterable<PfnRange>
  frameState(pfn: number): Promise<FrameState>
  /** Where each stored frame stands, in tables. Checks nothing but that they can be read. */
  storedPages(options?: { signal?: AbortSignal }): AsyncIterable<StoredPages>
  /**
   * Checks what opening does not need, and returns the number of frames that are present and not stored. Throws
   * VmcoreError CORRUPT.
   */
  checkTables(options?: { signal?: AbortSignal }): Promise<number>
  /** Where the content of `pfn` stands. Throws VmcoreError NOT_STORED. */
  locate(pfn: number): Promise<PageLocation>
  /**
   * Fills `into`, of exactly `pageBytes`, with the content of `pfn` and says whether it is all zeros.
   * Throws VmcoreError: NOT_STORED for a frame that is excluded or a hole, never zeros in its place.
   */
  readPage(pfn: number, into: Uint8Array): Promise<'data' | 'zero'>
}

/** What each format supplies; the rest of a `Vmcore` follows from it. */
export type VmcoreTables = Pick<
  Vmcore,
  'info' | 'bytes' | 'present' | 'stored' | 'frameState' | 'storedPages' | 'checkTables' | 'locate'
>
