import type { PfnRange } from '@ullage/pages'

/**
 * Where a vmcore goes. Positions and lengths are bytes; writes may come in any order and never overlap. What is never
 * written below the end of the file reads as zeros (only ELF vmcores leave such holes).
 */
export interface PositionedSink {
  /** Writes all of `bytes` at `position`, or rejects. `bytes` may be reused by the caller once it resolves. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Fills `into` with what was written before, or throws. A sink that has it lets equal pages be stored once. */
  readBack?(into: Uint8Array, position: number): void
}

export type Compression = 'zstd' | 'lzo' | 'snappy' | 'zlib' | 'none'

export const compressions = ['zstd', 'lzo', 'snappy', 'zlib', 'none'] as const satisfies readonly Compression[]

/** What one stored page is in the format's terms: the low bits of `page_desc.flags`. 0 is a raw page. */
export const pageFlags = { none: 0, zlib: 0x1, lzo: 0x2, snappy: 0x4, zstd: 0x20 } as const satisfies Record<
  Compression,
  number
>

/** One guest, as the header of a vmcore describes it. */
export interface VmcoreHeader {
  readonly machine: 'x86_64' | 'aarch64'
  /** Guest page size, in bytes; one frame of every range below. */
  readonly pageBytes: number
  /** uname of the guest; empty strings where it is not known. */
  readonly uname: { sysname: string; nodename: string; release: string; version: string; domainname: string }
  readonly cpus: number
  /** Physical load offset of the kernel, may be negative; 0n when not known. */
  readonly physBase: bigint
  /** makedumpfile's -d value. */
  readonly dumpLevel: number
  /** What pages are compressed with where that makes them smaller. */
  readonly compression: Compression
  /** Concatenated ELF notes, a VMCOREINFO note among them where there is one. */
  readonly elfNotes: Uint8Array
  /** When the dump was taken. */
  readonly timestamp: Date
}

/** Which frames a vmcore describes. */
export interface VmcoreFrames {
  /** First frame number after the highest of `present`. */
  readonly maxPfn: number
  /** Guest RAM, less what has no struct page and is unbacked: the format's bitmap 1. Ascending, disjoint. */
  present(): Iterable<PfnRange>
  /** What is stored, zero descriptors included: bitmap 2. A subset of `present`. Ascending, disjoint. */
  stored(): Iterable<PfnRange>
  /** Number of frames of `stored`. */
  readonly storedCount: number
}

/**
 * A batch of pages for frames that follow one another in `stored`, in ascending order, whatever their numbers are.
 * Page i has `sizes[i]` bytes; its payload stands in `payload` right after the one before.
 */
export interface PageBatch {
  /** Number of pages. */
  readonly count: number
  /** Payload bytes of each page; 0 for a page of zeros, which has no payload. */
  readonly sizes: Uint32Array
  /** `pageFlags` of each page. */
  readonly flags: Uint32Array
  /** A number made of the content of each page: equal pages have equal ones. Without, no page is looked for. */
  readonly prints?: Uint32Array
  /** The writer's own from now on: it may move pages in it. */
  readonly payload: Uint8Array
}

export interface VmcoreSummary {
  /** Size of the file, in bytes. */
  readonly bytes: number
  readonly pages: number
  readonly zeroPages: number
  /** Pages whose content another page has too, and that share its place in the file; zeros not counted. */
  readonly sharedPages: number
}

/**
 * Writes one vmcore. Pages are appended in the order of `stored`; exactly `storedCount` of them. The file is valid only
 * after `finish`, which throws when pages are missing.
 */
export interface VmcoreWriter {
  append(batch: PageBatch): Promise<void>
  finish(): Promise<VmcoreSummary>
}
