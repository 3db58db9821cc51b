import { cutRange, endOf, intersect, mergeRanges, type PfnRange } from '@ullage/pages'
import { throwIfAborted } from '../abort-error.ts'
import { answerBacking } from '../answer-backing.ts'
import { checkRead } from '../check-frames.ts'
import { fileLease } from '../file-guest.ts'
import { closedGuest, OfflineError } from '../offline-error.ts'
import type { BackingOptions, BackingRun, OfflineCapabilities, OfflineQuery } from '../offline-query.ts'
import {
  type GuestIdentity,
  type GuestMemory,
  identityAddressSpace,
  type NotDumped,
  type OpenGuest,
  type PauseLease,
  type PauseOptions,
  type RamExtent,
} from '../open-guest.ts'
import type { ConformanceFixture, GuestTruth } from './conformance-fixture.ts'
import { expectedSkipping, trueState } from './expected-runs.ts'

/** A guest that exists in memory only. */
export interface MemoryGuestOptions {
  readonly extents: readonly RamExtent[]
  readonly truth: GuestTruth
  /** 4096 when left out. */
  readonly frameBytes?: number
  readonly capabilities?: Partial<OfflineCapabilities>
  /** `backing` fails when it gets to this frame. */
  readonly failsAt?: number
}

/** The reference: the simplest backend that keeps every promise. */
export class MemoryGuest implements OpenGuest, GuestMemory {
  readonly identity: GuestIdentity = { backend: 'memory', machine: 'x86_64', kind: 'file' }
  readonly addressSpace = identityAddressSpace
  readonly warnings: OpenGuest['warnings'] = []
  readonly notDumped: readonly NotDumped[] = []
  readonly frameBytes: number
  readonly extents: readonly RamExtent[]
  readonly capabilities: OfflineCapabilities
  /** How many iterations are open. */
  held = 0
  /** Frames whose state was looked up, in order. */
  readonly asked: PfnRange[] = []
  protected readonly options: MemoryGuestOptions
  #closed = false

  constructor(options: MemoryGuestOptions) {
    this.options = options
    this.extents = options.extents
    this.frameBytes = options.frameBytes ?? 4096
    const promises = { granularity: 1, snapshot: true, tellsSwapped: true, unbackedReads: 'zeros' } as const
    this.capabilities = { ...promises, ...options.capabilities }
  }

  get memory(): GuestMemory {
    return this
  }

  get backing(): OfflineQuery {
    return { capabilities: this.capabilities, backing: (options) => this.runs(options) }
  }

  read(range: PfnRange, into: Uint8Array): void {
    this.#checkOpen()
    checkRead(this, range, into)
    for (let pfn = range.start; pfn < endOf(range); pfn++) {
      into.set(this.frame(pfn), (pfn - range.start) * this.frameBytes)
    }
  }

  /** Content of one frame of guest RAM. */
  protected frame(pfn: number): Uint8Array {
    const { truth } = this.options
    if (truth.unreadable?.some((range) => intersect(range, { start: pfn, count: 1 }))) {
      throw new OfflineError('UNREADABLE', `frame ${pfn} cannot be read: the host's memory is poisoned`)
    }
    if (trueState(truth, pfn) !== 'unbacked') return truth.content(pfn)
    if (this.capabilities.unbackedReads === 'zeros') return new Uint8Array(this.frameBytes)
    throw new OfflineError('UNREADABLE', `frame ${pfn} is not backed`)
  }

  protected async *runs(options: BackingOptions): AsyncGenerator<BackingRun> {
    this.held++
    try {
      yield* answerBacking(options, (within, skip) => this.#find(within, this.capabilities.costly ? skip : []))
    } finally {
      this.held--
    }
  }

  *#find(within: PfnRange, skip: readonly PfnRange[]): Generator<BackingRun> {
    this.#checkOpen()
    for (const piece of cutRange(within, skip)) if (!piece.inside) this.asked.push(piece)
    const asked = { within, skip, extents: mergeRanges(this.extents) }
    const { failsAt, truth } = this.options
    for (const run of expectedSkipping(truth, asked, this.capabilities)) {
      if (failsAt !== undefined && endOf(run) > failsAt) {
        throw new OfflineError('UNAVAILABLE', `the host does not tell the state of frame ${failsAt}`)
      }
      yield run
    }
  }

  async notes(options: { signal?: AbortSignal } = {}): Promise<{ elfNotes: Uint8Array; cpus: number }> {
    throwIfAborted(options.signal)
    return { elfNotes: new Uint8Array(0), cpus: 0 }
  }

  async pause(options: PauseOptions = {}): Promise<PauseLease> {
    throwIfAborted(options.signal)
    return fileLease
  }

  async hostMemory(): Promise<{ backedBytes: number; residentBytes: number }> {
    const ofStates = (states: readonly string[]): number =>
      this.options.truth.states.reduce((sum, run) => sum + (states.includes(run.state) ? run.count : 0), 0)
    const backedBytes = ofStates(['backed', 'swapped', 'unknown']) * this.frameBytes
    return { backedBytes, residentBytes: ofStates(['backed', 'unknown']) * this.frameBytes }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
  }

  #checkOpen(): void {
    if (this.#closed) throw closedGuest()
  }
}

/** A fixture of the suite around `guest`. */
export function memoryFixture(guest: MemoryGuest, truth: GuestTruth): ConformanceFixture {
  return { guest, truth, heldOpen: () => guest.held, asked: () => guest.asked }
}
