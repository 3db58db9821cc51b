import {
  type AddressSpace,
  answerBacking,
  type BackingOptions,
  type BackingRun,
  checkRead,
  closedGuest,
  type GuestMemory,
  type HostState,
  type OfflineCapabilities,
  OfflineError,
  type OfflineQuery,
  type RamExtent,
} from '@ullage/offline-query'
import { cutRange, endOf, mergeRanges, type PfnRange } from '@ullage/pages'
import { PAGE_BYTES } from '../core-layout.ts'
import type { DomainLayout } from './domain-layout.ts'
import { ESRCH, goneError } from './hypercall-error.ts'
import { HVMMEM_MMIO_DM, PFINFO_XTAB } from './hypercalls.ts'
import { BATCH_FRAMES, type DomainInfo, type Hypervisor } from './hypervisor.ts'
import type { PopulateGuard } from './populate-guard.ts'

/** Memory of a live domain, as the contract wants it. Its layout is replaced when the domain is paused. */
export class DomainMemory implements GuestMemory, OfflineQuery {
  readonly frameBytes = PAGE_BYTES
  readonly notDumped = []
  readonly capabilities: OfflineCapabilities = {
    granularity: 1,
    snapshot: false,
    tellsSwapped: false,
    unbackedReads: 'nothing',
    costly: true,
  }
  /** Follows the layout. */
  readonly addressSpace: AddressSpace
  readonly #hypervisor: Hypervisor
  readonly #domain: DomainInfo
  readonly #guard: PopulateGuard
  #layout: DomainLayout
  #ram: readonly PfnRange[]
  #closed = false

  constructor(hypervisor: Hypervisor, domain: DomainInfo, guard: PopulateGuard, layout: DomainLayout) {
    this.#hypervisor = hypervisor
    this.#domain = domain
    this.#guard = guard
    this.#layout = layout
    this.#ram = mergeRanges(layout.extents)
    this.addressSpace = { toPfn: (gfn) => this.#layout.toPfn(gfn), paravirtualised: !domain.isTranslated }
  }

  get extents(): readonly RamExtent[] {
    return this.#layout.extents
  }

  replace(layout: DomainLayout): void {
    this.#layout = layout
    this.#ram = mergeRanges(layout.extents)
  }

  read(range: PfnRange, into: Uint8Array): void {
    this.#checkOpen()
    checkRead(this, range, into)
    for (let done = 0; done < range.count; done += BATCH_FRAMES) {
      const piece = { start: range.start + done, count: Math.min(BATCH_FRAMES, range.count - done) }
      this.#readBatch(piece, into.subarray(done * PAGE_BYTES, (done + piece.count) * PAGE_BYTES))
    }
  }

  backing(options: BackingOptions): AsyncIterable<BackingRun> {
    return answerBacking(options, (within, skip) => this.#find(within, skip))
  }

  /** From now on everything throws. */
  close(): void {
    this.#closed = true
  }

  #readBatch(piece: PfnRange, into: Uint8Array): void {
    const frames = Array.from({ length: piece.count }, (_, i) => {
      const frame = this.#layout.frameOf(piece.start + i)
      if (frame === undefined) throw unreadable(piece.start + i, 'its p2m gives it no machine frame: it has no memory')
      return frame
    })
    this.#guard.checkMapping(piece)
    const { domid } = this.#domain
    try {
      this.#hypervisor.map(domid, frames, (bytes, errors) => {
        const bad = errors.findIndex((error) => error !== 0)
        if (bad >= 0) throw this.#unmappable(piece.start + bad, frames[bad] as number, errors[bad] as number)
        bytes.read(0, into)
      })
    } catch (cause) {
      if (cause instanceof OfflineError || !(cause instanceof Error)) throw cause
      if (!this.#isThere()) throw goneError(domid)
      throw unreadable(piece.start, cause.message, cause)
    }
  }

  #unmappable(pfn: number, frame: number, error: number): OfflineError {
    if (Math.abs(error) === ESRCH && !this.#isThere()) return goneError(this.#domain.domid)
    const name = this.#domain.isTranslated ? '' : ` (machine frame 0x${frame.toString(16)})`
    return unreadable(
      pfn,
      `xen does not map it${name} for domain ${this.#domain.domid}, error ${Math.abs(error)}: it has no memory, or none of its own`,
    )
  }

  #isThere(): boolean {
    const now = this.#hypervisor.info(this.#domain.domid)
    return now !== undefined && !now.isDying && now.handle === this.#domain.handle
  }

  /** Frames in RAM that nobody skips are asked about, as many as possible at once, in the order they are yielded. */
  *#find(within: PfnRange, skip: readonly PfnRange[]): Generator<BackingRun> {
    this.#checkOpen()
    const ram = this.#ram
    let waiting: Piece[] = []
    let asked = 0
    for (const { inside, ...piece } of cutRange(within, ram)) {
      for (const part of inside ? cutRange(piece, skip) : [{ ...piece, inside: true }]) {
        const known = !inside ? 'unbacked' : part.inside ? 'unknown' : undefined
        for (let at = part.start; at < endOf(part); ) {
          const count = known ? endOf(part) - at : Math.min(BATCH_FRAMES - asked, endOf(part) - at)
          waiting.push({ start: at, count, state: known })
          at += count
          if (known) continue
          asked += count
          if (asked < BATCH_FRAMES) continue
          yield* this.#answer(waiting)
          waiting = []
          asked = 0
        }
      }
    }
    yield* this.#answer(waiting)
  }

  *#answer(pieces: readonly Piece[]): Generator<BackingRun> {
    this.#checkOpen()
    const pfns: number[] = []
    for (const { start, count, state } of pieces) {
      if (state === undefined) for (let i = 0; i < count; i++) pfns.push(start + i)
    }
    const states = pfns.length > 0 ? this.#ask(pfns) : []
    let next = 0
    for (const { start, count, state } of pieces) {
      if (state !== undefined) {
        yield { start, count, state }
        continue
      }
      for (let i = 0; i < count; ) {
        const first = states[next] as HostState
        let same = 1
        while (i + same < count && states[next + same] === first) same++
        yield { start: start + i, count: same, state: first }
        next += same
        i += same
      }
    }
  }

  #ask(pfns: readonly number[]): HostState[] {
    const { domid, isTranslated } = this.#domain
    if (!isTranslated) return this.#askPv(pfns)
    // Asked before the frames: what is outstanding then may have memory by now, never the other way round.
    const backed = this.#guard.isOutstanding() ? 'unknown' : 'backed'
    const types = this.#hypervisor.memTypes(domid, pfns)
    return pfns.map((_, i) => (types[i] === HVMMEM_MMIO_DM ? 'unbacked' : backed))
  }

  #askPv(pfns: readonly number[]): HostState[] {
    const states: HostState[] = pfns.map(() => 'unbacked')
    const places: number[] = []
    const frames: number[] = []
    pfns.forEach((pfn, i) => {
      const frame = this.#layout.frameOf(pfn)
      if (frame === undefined) return
      places.push(i)
      frames.push(frame)
    })
    if (frames.length === 0) return states
    const types = this.#hypervisor.frameTypes(this.#domain.domid, frames)
    places.forEach((place, i) => {
      // Broken memory cannot be read, and is memory: reading it says so.
      if (types[i] !== PFINFO_XTAB) states[place] = 'backed'
    })
    return states
  }

  #checkOpen(): void {
    if (this.#closed) throw closedGuest()
  }
}

/** Neighbouring frames whose state is known, or that are to be asked about. */
interface Piece extends PfnRange {
  readonly state: HostState | undefined
}

function unreadable(pfn: number, why: string, cause?: Error): OfflineError {
  return new OfflineError('UNREADABLE', `frame ${pfn} cannot be read: ${why}`, cause ? { cause } : undefined)
}
