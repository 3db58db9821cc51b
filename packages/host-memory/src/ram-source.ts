import type { ByteRange } from '@ullage/native'

/**
 * What the host says of bytes of guest RAM. `backed`: there is memory behind them. `swapped`: they have content that is
 * not resident; it must be read. `unbacked`: no memory there. `unknown`: cannot be told; to be treated as backed.
 */
export type BackingState = 'backed' | 'swapped' | 'unbacked' | 'unknown'

export interface BackingBytes extends ByteRange {
  readonly state: BackingState
}

/** Memory of the host behind a source, in bytes. */
export interface MemoryFigures {
  /** What the host holds, resident or swapped. */
  readonly backedBytes: number
  /** What of it is resident; equals `backedBytes` where the host does not tell. */
  readonly residentBytes: number
}

/**
 * `sharedFile`: shmem, memfd or an ordinary file that the guest's writes go to. `privateFile`: a file mapped share=off, the
 * guest's writes in private pages. `anonymous`: no file. `hugetlbfs`: huge pages, shared or private.
 */
export type RamKind = 'sharedFile' | 'privateFile' | 'anonymous' | 'hugetlbfs'

/** One contiguous run of host memory that backs guest RAM. Offsets count bytes from its start. */
export interface RamSource extends Disposable {
  readonly kind: RamKind
  /** What it is, for messages: a path, or a process and an address. */
  readonly about: string
  readonly sizeBytes: number
  /** Smallest run that `backing` can tell apart, in bytes. */
  readonly granularityBytes: number
  /** True when `swapped` is told apart from `backed`. */
  readonly tellsSwapped: boolean
  /**
   * The state of every byte of `within`, which lies inside the source (else RangeError): ascending, gapless, maximal runs,
   * one at a time, for there may be millions. Reads no content and allocates nothing. Throws HostMemoryError.
   */
  backing(within: ByteRange): Generator<BackingBytes>
  /**
   * Fills all of `into` with the content from `offsetBytes` on, or throws HostMemoryError with the offset of the first byte
   * that could not be read. Bytes that are `unbacked` read as zeros, as the guest would see them. Allocates nothing in the
   * guest's memory, provided that the guest does not give memory back at the same moment (its vCPUs are stopped).
   */
  read(offsetBytes: number, into: Uint8Array): void
  /** Where a file holds it, when pread(2) from there is all that `read` does. `baseBytes`: of the source's first byte. */
  readonly plainFile?: { readonly fd: number; readonly baseBytes: number }
  figures(): MemoryFigures
}

/** Throws RangeError unless [startBytes, endBytes) is a range inside a source of `sizeBytes`. */
export function checkInside({ startBytes, endBytes }: ByteRange, sizeBytes: number): void {
  const integers = Number.isSafeInteger(startBytes) && Number.isSafeInteger(endBytes)
  if (!integers || startBytes < 0 || endBytes < startBytes || endBytes > sizeBytes) {
    throw new RangeError(`bytes [${startBytes}, ${endBytes}) are not inside a source of ${sizeBytes} bytes`)
  }
}

/** The same states in maximal runs: empty runs dropped, neighbours of one state joined. `runs` must be gapless. */
export function* maximalRuns(runs: Iterable<BackingBytes>): Generator<BackingBytes> {
  let open: { startBytes: number; endBytes: number; state: BackingState } | undefined
  for (const { startBytes, endBytes, state } of runs) {
    if (startBytes === endBytes) continue
    if (open && open.state === state) {
      open.endBytes = endBytes
      continue
    }
    if (open) yield open
    open = { startBytes, endBytes, state }
  }
  if (open) yield open
}

/** Adds up what `backing` says of the whole of `source`, in bytes by state. */
export function bytesByState(source: RamSource): Record<BackingState, number> {
  const bytes = { backed: 0, swapped: 0, unbacked: 0, unknown: 0 }
  for (const run of source.backing({ startBytes: 0, endBytes: source.sizeBytes })) {
    bytes[run.state] += run.endBytes - run.startBytes
  }
  return bytes
}
