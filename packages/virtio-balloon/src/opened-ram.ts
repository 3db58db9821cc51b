import { setImmediate } from 'node:timers/promises'
import type { GuestRam } from '@ullage/host-memory'
import {
  type BackingRun,
  type GuestMemory,
  type HostMemory,
  type NotDumped,
  type OfflineCapabilities,
  OfflineError,
  type OfflineQuery,
  type RamExtent,
} from '@ullage/offline-query'
import { endOf, type PfnRange } from '@ullage/pages'
import { throwIfAborted } from '@ullage/qemu'
import { toOfflineError, translated } from './to-offline-error.ts'

/** Runs between two looks at the signal: a guest of 16 GiB may have millions. */
const RUNS_A_TURN = 4096

/** Guest RAM of one opened guest, as the contract wants it. What is behind it may be replaced when the guest is paused. */
export class OpenedRam implements GuestMemory, OfflineQuery {
  readonly capabilities: OfflineCapabilities
  readonly #kind: 'live' | 'files'
  #ram: GuestRam
  #notDumped: readonly NotDumped[]
  readonly #retired: GuestRam[] = []
  #closed = false

  constructor(kind: 'live' | 'files', ram: GuestRam, notDumped: readonly NotDumped[]) {
    this.#kind = kind
    this.#ram = ram
    this.#notDumped = notDumped
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

  async *backing(options: { within: PfnRange; signal?: AbortSignal }): AsyncGenerator<BackingRun> {
    const { within, signal } = options
    throwIfAborted(signal)
    checkRange(within)
    const runs = this.#runs(within)
    for (let turn = 0; ; turn = (turn + 1) % RUNS_A_TURN) {
      // An abort is an event: without a turn of the event loop it would never be seen.
      if (turn === RUNS_A_TURN - 1) await setImmediate()
      throwIfAborted(signal)
      this.#checkOpen()
      const next = this.#next(runs)
      if (next.done) return
      yield next.value
    }
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

  /** Maximal runs. Where the guest has memory of kinds that differ in telling `swapped`, none is told: see capabilities. */
  *#runs(within: PfnRange): Generator<BackingRun> {
    let open: { start: number; count: number; state: BackingRun['state'] } | undefined
    for (const run of this.#ram.backing(within)) {
      const state = run.state === 'swapped' && !this.capabilities.tellsSwapped ? 'backed' : run.state
      if (open?.state === state) {
        open.count += run.count
        continue
      }
      if (open) yield open
      open = { start: run.start, count: run.count, state }
    }
    if (open) yield open
  }

  #next(runs: Generator<BackingRun>): IteratorResult<BackingRun, unknown> {
    try {
      return runs.next()
    } catch (error) {
      throw toOfflineError(error, this.#kind)
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new OfflineError('UNAVAILABLE', 'expected an open guest, found one that was closed here')
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

function checkRange(range: PfnRange): void {
  const { start, count } = range
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(count) && Number.isSafeInteger(endOf(range))
  if (!whole || start < 0 || count < 1) {
    throw new RangeError(`expected a range of frames, found start ${start}, count ${count}`)
  }
}
