import {
  answerBacking,
  type BackingOptions,
  type BackingRun,
  checkRead,
  closedGuest,
  type GuestMemory,
  type HostMemory,
  type NotDumped,
  type OfflineCapabilities,
  OfflineError,
  type OfflineQuery,
  type RamExtent,
} from '@ullage/offline-query'
import { endOf, type PfnRange } from '@ullage/pages'
import { PAGE_BYTES } from './core-layout.ts'
import type { FrameRuns } from './frame-runs.ts'
import type { GuestFile } from './guest-file.ts'
import type { GuestRam } from './guest-ram.ts'

/** Where a file keeps the pages of a guest. */
export interface FilePages {
  /** Guest frame → offset of its page in the file, in bytes. */
  readonly pages: FrameRuns
  /** Number of frames that have a page. */
  readonly backed: number
}

/** Guest RAM in a file: a frame that has a page there is backed, every other one is not. */
export class FileMemory implements GuestMemory, OfflineQuery {
  readonly frameBytes = PAGE_BYTES
  readonly extents: readonly RamExtent[]
  readonly notDumped: readonly NotDumped[]
  readonly capabilities: OfflineCapabilities = {
    granularity: 1,
    snapshot: true,
    tellsSwapped: false,
    unbackedReads: 'nothing',
  }
  readonly #file: GuestFile
  readonly #frames: FilePages
  #closed = false

  constructor(file: GuestFile, frames: FilePages, ram: GuestRam) {
    this.#file = file
    this.#frames = frames
    this.extents = ram.extents
    this.notDumped = ram.notDumped
  }

  read(range: PfnRange, into: Uint8Array): void {
    this.#checkOpen()
    checkRead(this, range, into)
    const { pages } = this.#frames
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
      this.#file.read(run.to + inRun * PAGE_BYTES, piece, `frame ${pfn} and ${count - 1} after it`)
      done += count
    }
  }

  backing(options: BackingOptions): AsyncIterable<BackingRun> {
    return answerBacking(options, (within) => this.#find(within))
  }

  /** Memory of the guest that the file holds. */
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

  /** Runs of the map break where pages in the file do, so neighbours may have one state. */
  *#find(within: PfnRange): Generator<BackingRun> {
    this.#checkOpen()
    const { pages } = this.#frames
    const end = endOf(within)
    let at = within.start
    for (let index = pages.firstEndingAfter(at); index < pages.length; index++) {
      this.#checkOpen()
      const { from, count } = pages.at(index)
      if (from >= end) break
      if (from > at) yield { start: at, count: from - at, state: 'unbacked' }
      const start = Math.max(at, from)
      at = Math.min(from + count, end)
      yield { start, count: at - start, state: 'backed' }
    }
    if (at < end) yield { start: at, count: end - at, state: 'unbacked' }
  }

  #checkOpen(): void {
    if (this.#closed) throw closedGuest()
  }
}
