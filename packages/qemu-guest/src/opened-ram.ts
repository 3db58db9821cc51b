import type { GuestRam } from '@ullage/host-memory'
import {
  answerBacking,
  type BackingOptions,
  type BackingRun,
  closedGuest,
  type FilePiece,
  type GuestMemory,
  type HostMemory,
  type NotDumped,
  type OfflineCapabilities,
  type OfflineQuery,
  type RamExtent,
} from '@ullage/offline-query'
import type { PfnRange } from '@ullage/pages'
import { toOfflineError, translated } from './to-offline-error.ts'

/** Tells more of frames than the memory behind them does: the same frames, gapless, in states that may differ. */
export type RefineRuns = (runs: Iterable<BackingRun>) => Iterable<BackingRun>

/** Guest RAM of one opened guest, as the contract wants it. What is behind it may be replaced when the guest is paused. */
export class OpenedRam implements GuestMemory, OfflineQuery {
  readonly capabilities: OfflineCapabilities
  readonly #kind: 'live' | 'files'
  #ram: GuestRam
  #notDumped: readonly NotDumped[]
  readonly #refine: RefineRuns
  readonly #retired: GuestRam[] = []
  #closed = false

  constructor(
    kind: 'live' | 'files',
    ram: GuestRam,
    notDumped: readonly NotDumped[],
    refine: RefineRuns = (runs) => runs,
  ) {
    this.#kind = kind
    this.#ram = ram
    this.#notDumped = notDumped
    this.#refine = refine
    this.capabilities = capabilitiesOf(kind, ram)
  }

  get frameBytes(): number {
    return this.#ram.frameBytes
  }

  get extents(): readonly RamExtent[] {
    return this.#ram.extents
  }

  get notDumped(): readonly NotDumped[] {
    return this.#notDumped
  }

  /** Takes over `ram`. What was there before stays open until the end: an iteration may still be at work on it. */
  replace(ram: GuestRam, notDumped: readonly NotDumped[]): void {
    this.#retired.push(this.#ram)
    this.#ram = ram
    this.#notDumped = notDumped
  }

  read(range: PfnRange, into: Uint8Array): void {
    this.#checkOpen()
    translated(this.#kind, () => this.#ram.read(range, into))
  }

  filePieces(range: PfnRange): readonly FilePiece[] | undefined {
    this.#checkOpen()
    return this.#ram.filePieces(range)
  }

  backing(options: BackingOptions): AsyncIterable<BackingRun> {
    return answerBacking(options, (within) => this.#runs(within))
  }

  /** Figures of the host. */
  hostMemory(): HostMemory {
    this.#checkOpen()
    return translated(this.#kind, () => this.#ram.figures())
  }

  /** Closes what is behind it. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const ram of [...this.#retired, this.#ram]) ram[Symbol.dispose]()
  }

  /** Where the guest has memory of kinds that differ in telling `swapped`, none is told: see capabilities. */
  *#runs(within: PfnRange): Generator<BackingRun> {
    this.#checkOpen()
    try {
      for (const run of this.#refine(this.#ram.backing(within))) {
        yield run.state === 'swapped' && !this.capabilities.tellsSwapped ? { ...run, state: 'backed' } : run
        this.#checkOpen()
      }
    } catch (error) {
      throw toOfflineError(error, this.#kind)
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw closedGuest()
  }
}

function capabilitiesOf(kind: 'live' | 'files', { regions, frameBytes }: GuestRam): OfflineCapabilities {
  const granularities = regions.map(({ source }) => Math.max(1, Math.floor(source.granularityBytes / frameBytes)))
  return {
    granularity: Math.min(...granularities),
    snapshot: kind === 'files',
    tellsSwapped: regions.every(({ source }) => source.tellsSwapped),
    unbackedReads: 'zeros',
  }
}
