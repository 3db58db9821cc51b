import { setImmediate } from 'node:timers/promises'
import {
  type BackingRun,
  type GuestMemory,
  type HostMemory,
  type OfflineCapabilities,
  OfflineError,
  type OfflineQuery,
  type RamExtent,
} from '@ullage/offline-query'
import { endOf, findRange, type PfnRange } from '@ullage/pages'
import { throwIfAborted } from './abort-error.ts'
import type { CoreFile } from './core-file.ts'
import type { CoreFrames } from './core-frames.ts'
import { PAGE_BYTES } from './core-layout.ts'

/** Runs between two looks at the signal. */
const RUNS_A_TURN = 4096

/** Guest RAM in a core file: a frame that the core lists is backed, every other one is not. */
export class CoreMemory implements GuestMemory, OfflineQuery {
  readonly frameBytes = PAGE_BYTES
  readonly notDumped = []
  readonly extents: readonly RamExtent[]
  readonly capabilities: OfflineCapabilities = {
    granularity: 1,
    snapshot: true,
    tellsSwapped: false,
    unbackedReads: 'nothing',
  }
  readonly #file: CoreFile
  readonly #frames: CoreFrames
  #closed = false

  constructor(file: CoreFile, frames: CoreFrames, extents: readonly RamExtent[]) {
    this.#file = file
    this.#frames = frames
    this.extents = extents
  }

  read(range: PfnRange, into: Uint8Array): void {
    this.#checkOpen()
    this.#checkInRam(range)
    if (into.length !== range.count * PAGE_BYTES) {
      throw new RangeError(`${range.count} frames need ${range.count * PAGE_BYTES} bytes, found ${into.length}`)
    }
    const { pages, pagesOffsetBytes } = this.#frames
    let done = 0
    for (let index = pages.firstEndingAfter(range.start); done < range.count; index++) {
      const pfn = range.start + done
      const run = index < pages.length ? pages.at(index) : undefined
      if (!run || pfn < run.from) {
        throw new OfflineError(
          'UNREADABLE',
          `frame ${pfn} cannot be read: ${this.#file.path} holds no page of it, it has no memory`,
        )
      }
      const inRun = pfn - run.from
      const count = Math.min(run.count - inRun, range.count - done)
      const piece = into.subarray(done * PAGE_BYTES, (done + count) * PAGE_BYTES)
      this.#file.read(pagesOffsetBytes + (run.to + inRun) * PAGE_BYTES, piece, `frame ${pfn} and ${count - 1} after it`)
      done += count
    }
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
      const next = runs.next()
      if (next.done) return
      yield next.value
    }
  }

  /** Memory of the guest that the core holds. */
  hostMemory(): HostMemory {
    this.#checkOpen()
    const backedBytes = this.#frames.backed * PAGE_BYTES
    return { backedBytes, residentBytes: backedBytes }
  }

  /** Closes the file. Idempotent. */
  close(): void {
    if (!this.#closed) this.#file[Symbol.dispose]()
    this.#closed = true
  }

  *#runs(within: PfnRange): Generator<BackingRun> {
    const { pages } = this.#frames
    const end = endOf(within)
    let at = within.start
    for (let index = pages.firstEndingAfter(at); index < pages.length && at < end; index++) {
      const start = Math.max(at, pages.at(index).from)
      if (start >= end) break
      if (start > at) yield { start: at, count: start - at, state: 'unbacked' }
      let stop = start
      // Runs break where pages in the file do: frames may go on.
      for (; index < pages.length; index++) {
        const run = pages.at(index)
        if (run.from > stop) break
        stop = run.from + run.count
      }
      index--
      at = Math.min(stop, end)
      yield { start, count: at - start, state: 'backed' }
    }
    if (at < end) yield { start: at, count: end - at, state: 'unbacked' }
  }

  #checkInRam(range: PfnRange): void {
    let pfn = range.start
    while (pfn < endOf(range)) {
      const extent = this.extents[findRange(this.extents, pfn)]
      if (!extent) throw new RangeError(`frames [${range.start}, ${endOf(range)}) are not all guest RAM: ${pfn} is not`)
      pfn = endOf(extent)
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new OfflineError('UNAVAILABLE', 'expected an open guest, found one that was closed here')
  }
}

function checkRange(range: PfnRange): void {
  const { start, count } = range
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(count) && Number.isSafeInteger(endOf(range))
  if (!whole || start < 0 || count < 1) {
    throw new RangeError(`expected a range of frames, found start ${start}, count ${count}`)
  }
}
