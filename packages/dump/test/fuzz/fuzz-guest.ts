import { answerBacking, type BackingRun, fileGuest, type OpenGuest } from '@ullage/offline-query'
import { endOf, type PfnRange } from '@ullage/pages'
import { FRAME, type FuzzBase } from './fuzz-base.ts'

/** What the guest's memory saw that must never be seen. */
export class ForbiddenReadError extends Error {
  override readonly name = 'ForbiddenReadError'
}

/** One guest that was changed: a base, and the frames that differ. Counts all that is done with it. */
export class FuzzGuest {
  readonly base: FuzzBase
  /** One of `FRAME` for each frame; a copy, to be changed. */
  readonly states: Uint8Array
  notes: Uint8Array
  /** Frames read. */
  framesRead = 0
  /** Reads, and questions where a frame is. */
  steps = 0
  /** The first read that should not have been made. */
  forbidden: string | undefined
  readonly #changed = new Map<number, Uint8Array>()

  constructor(base: FuzzBase) {
    this.base = base
    this.states = base.states.slice()
    this.notes = new Uint8Array()
  }

  /** Content of a frame of guest RAM, to be changed; undefined outside guest RAM. */
  frame(pfn: number): Uint8Array | undefined {
    if (this.states[pfn] === undefined || this.states[pfn] === FRAME.notRam) return undefined
    let frame = this.#changed.get(pfn)
    if (!frame) {
      frame = new Uint8Array(this.base.frameBytes)
      this.#copy(pfn, frame, 0)
      this.#changed.set(pfn, frame)
    }
    return frame
  }

  /** Fills `into`. Throws ForbiddenReadError for a frame that is not guest RAM or not backed, and remembers it. */
  read(range: PfnRange, into: Uint8Array): void {
    this.steps++
    const { frameBytes } = this.base
    if (into.length !== range.count * frameBytes || range.count < 1) {
      this.#forbid(`${range.count} frames from ${range.start} were read into ${into.length} bytes`)
    }
    into.fill(0)
    for (let i = 0; i < range.count; i++) {
      const pfn = range.start + i
      if (this.states[pfn] !== FRAME.backed) {
        const why = this.states[pfn] === FRAME.unbacked ? 'is not backed' : 'is not guest RAM'
        this.#forbid(`frame ${pfn} was read, which ${why}`)
      }
      const frame = this.#changed.get(pfn)
      if (frame) into.set(frame, i * frameBytes)
      else if (this.base.slots[pfn] !== -1) this.#copy(pfn, into, i * frameBytes)
    }
    this.framesRead += range.count
  }

  toPfn(gfn: number): number | undefined {
    this.steps++
    const state = this.states[gfn]
    return state === undefined || state === FRAME.notRam ? undefined : gfn
  }

  /** As a backend would open it. */
  open(): OpenGuest {
    const { frameBytes, machine, extents } = this.base
    return fileGuest({
      backend: 'fuzz',
      machine,
      memory: {
        frameBytes,
        extents: extents.map((extent) => ({ ...extent, name: 'ram' })),
        notDumped: [],
        read: (range, into) => this.read(range, into),
        capabilities: { granularity: 1, snapshot: true, tellsSwapped: false, unbackedReads: 'zeros' },
        backing: (question) => answerBacking(question, (within) => this.#backing(within)),
        hostMemory: () => ({ backedBytes: 0, residentBytes: 0 }),
        close: () => undefined,
      },
      addressSpace: { toPfn: (gfn) => this.toPfn(gfn) },
      notes: { elfNotes: this.notes, cpus: 1 },
      warnings: [],
    })
  }

  *#backing(within: PfnRange): Generator<BackingRun> {
    for (let start = within.start; start < endOf(within); ) {
      const isBacked = this.states[start] === FRAME.backed
      let end = start + 1
      while (end < endOf(within) && (this.states[end] === FRAME.backed) === isBacked) end++
      yield { start, count: end - start, state: isBacked ? 'backed' : 'unbacked' }
      start = end
    }
  }

  #copy(pfn: number, into: Uint8Array, at: number): void {
    const { slots, content, frameBytes } = this.base
    const slot = slots[pfn] ?? -1
    if (slot === -1) into.fill(0, at, at + frameBytes)
    else into.set(content.subarray(slot * frameBytes, (slot + 1) * frameBytes), at)
  }

  #forbid(what: string): never {
    this.forbidden ??= what
    throw new ForbiddenReadError(what)
  }
}
