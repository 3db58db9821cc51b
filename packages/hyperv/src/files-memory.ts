import { type GuestRam, HostMemoryError, type HostMemoryErrorCode } from '@ullage/host-memory'
import {
  answerBacking,
  type BackingOptions,
  type BackingRun,
  checkRead,
  closedGuest,
  type FilePiece,
  type GuestMemory,
  type HostMemory,
  type NotDumped,
  type OfflineCapabilities,
  OfflineError,
  type OfflineErrorCode,
  type OfflineQuery,
  type RamExtent,
} from '@ullage/offline-query'
import { cutRange, type PfnRange, type PfnSet } from '@ullage/pages'

const CODES: Record<HostMemoryErrorCode, OfflineErrorCode> = {
  NOT_FOUND: 'INVALID',
  DENIED: 'INVALID',
  INVALID: 'INVALID',
  UNREADABLE: 'UNREADABLE',
  GONE: 'UNAVAILABLE',
}

/**
 * RAM of a Hyper-V guest in files. The host's word on it is a hole map, or what Dynamic Memory tells: `unbacked` frames,
 * of all others nothing.
 */
export class FilesMemory implements GuestMemory, OfflineQuery {
  readonly notDumped: readonly NotDumped[] = []
  readonly capabilities: OfflineCapabilities = {
    granularity: 1,
    snapshot: true,
    tellsSwapped: false,
    unbackedReads: 'nothing',
  }
  readonly #ram: GuestRam
  readonly #unbacked: PfnSet | undefined
  #closed = false

  /** @param unbacked what Dynamic Memory tells; without it the hole maps of `ram` are the host's word. */
  constructor(ram: GuestRam, unbacked: PfnSet | undefined) {
    this.#ram = ram
    this.#unbacked = unbacked
  }

  get frameBytes(): number {
    return this.#ram.frameBytes
  }

  get extents(): readonly RamExtent[] {
    return this.#ram.extents
  }

  /** Refuses a frame without memory, whatever bytes the file holds there: the guest does not see them. */
  read(range: PfnRange, into: Uint8Array): void {
    this.#checkOpen()
    checkRead(this, range, into)
    translated(() => {
      for (const run of this.#states(range)) if (run.state === 'unbacked') throw withoutMemory(run.start)
      this.#ram.read(range, into)
    })
  }

  filePieces(range: PfnRange): readonly FilePiece[] | undefined {
    this.#checkOpen()
    for (const run of this.#states(range)) if (run.state === 'unbacked') return undefined
    return this.#ram.filePieces(range)
  }

  backing(options: BackingOptions): AsyncIterable<BackingRun> {
    return answerBacking(options, (within) => this.#runs(within))
  }

  /** What the files take on this host. */
  hostMemory(): HostMemory {
    this.#checkOpen()
    return translated(() => this.#ram.figures())
  }

  /** Closes the files. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ram[Symbol.dispose]()
  }

  *#runs(within: PfnRange): Generator<BackingRun> {
    this.#checkOpen()
    try {
      for (const run of this.#states(within)) {
        yield run
        this.#checkOpen()
      }
    } catch (error) {
      throw toOfflineError(error)
    }
  }

  #states(within: PfnRange): Generator<BackingRun> {
    return this.#unbacked ? this.#told(within, this.#unbacked) : this.#ram.backing(within)
  }

  *#told(within: PfnRange, unbacked: PfnSet): Generator<BackingRun> {
    for (const { start, count, inside } of cutRange(within, this.extents)) {
      if (!inside) {
        yield { start, count, state: 'unbacked' }
        continue
      }
      const end = start + count
      for (let at = start; at < end; ) {
        const isUnbacked = unbacked.has(at)
        const next = unbacked.next(at, !isUnbacked, end)
        yield { start: at, count: next - at, state: isUnbacked ? 'unbacked' : 'unknown' }
        at = next
      }
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw closedGuest()
  }
}

function withoutMemory(pfn: number): OfflineError {
  return new OfflineError('UNREADABLE', `frame ${pfn} has no memory on its host, there is nothing to read`)
}

/** Number of frames of `set` that the hole maps of `ram` say have memory. */
export function backedFramesOf(ram: GuestRam, set: PfnSet): number {
  let frames = 0
  for (const extent of ram.extents) {
    for (const run of ram.backing(extent)) if (run.state !== 'unbacked') frames += set.countIn(run)
  }
  return frames
}

/** Runs `body`, and translates what host memory throws. */
export function translated<T>(body: () => T): T {
  try {
    return body()
  } catch (error) {
    throw toOfflineError(error)
  }
}

function toOfflineError(error: unknown): unknown {
  if (!(error instanceof HostMemoryError)) return error
  const code = error.pfn === undefined ? CODES[error.code] : 'UNREADABLE'
  return new OfflineError(code, error.message, { cause: error })
}
