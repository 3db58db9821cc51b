import {
  answerBacking,
  type BackingOptions,
  type BackingRun,
  checkRead,
  closedGuest,
  type GuestMemory,
  type HostMemory,
  type OfflineCapabilities,
  type OfflineQuery,
} from '@ullage/offline-query'
import { countFrames, cutRange, endOf, findRange, mergeRanges, type PfnRange } from '@ullage/pages'
import type { MemoryBlockExtent } from './memory-blocks.ts'
import { BLOCK_FRAMES, PAGE_BYTES, type RamBlocks } from './ram-blocks.ts'

/**
 * Guest RAM in a saved state. A frame whose RamBlock is in the file is `unknown`: it has content there, and no public source
 * says whether the host backed it, a ballooned one included. One whose RamBlock is absent is `unbacked` and reads as nothing.
 */
export class SavedMemory implements GuestMemory, OfflineQuery {
  readonly frameBytes = PAGE_BYTES
  readonly notDumped = []
  readonly extents: readonly MemoryBlockExtent[]
  readonly capabilities: OfflineCapabilities = {
    granularity: 1,
    snapshot: true,
    tellsSwapped: false,
    unbackedReads: 'nothing',
  }
  readonly #file: Disposable
  readonly #blocks: RamBlocks
  /** Frames whose RamBlock is there: ascending, and they do not touch. */
  readonly #present: readonly PfnRange[]
  #closed = false

  constructor(file: Disposable, extents: readonly MemoryBlockExtent[], blocks: RamBlocks) {
    this.#file = file
    this.#blocks = blocks
    this.extents = extents
    this.#present = presentFrames(extents, blocks)
  }

  /** Number of frames whose RamBlock is in the file. */
  get presentFrames(): number {
    return countFrames(this.#present)
  }

  read(range: PfnRange, into: Uint8Array): void {
    this.#checkOpen()
    checkRead(this, range, into)
    for (let done = 0; done < range.count; ) {
      const pfn = range.start + done
      const extent = this.extents[findRange(this.extents, pfn)] as MemoryBlockExtent
      const inExtent = pfn - extent.start
      const inBlock = inExtent % BLOCK_FRAMES
      const count = Math.min(BLOCK_FRAMES - inBlock, range.count - done, endOf(extent) - pfn)
      const number = extent.firstBlock + Math.floor(inExtent / BLOCK_FRAMES)
      const piece = into.subarray(done * PAGE_BYTES, (done + count) * PAGE_BYTES)
      this.#blocks.read(number, inBlock * PAGE_BYTES, piece, `frame ${pfn}`)
      done += count
    }
  }

  backing(options: BackingOptions): AsyncIterable<BackingRun> {
    return answerBacking(options, (within) => this.#find(within))
  }

  /** Memory of the guest that the file holds, compressed or not. */
  hostMemory(): HostMemory {
    this.#checkOpen()
    const backedBytes = this.presentFrames * PAGE_BYTES
    return { backedBytes, residentBytes: backedBytes }
  }

  /** Closes the file. Idempotent. */
  close(): void {
    if (!this.#closed) this.#file[Symbol.dispose]()
    this.#closed = true
  }

  *#find(within: PfnRange): Generator<BackingRun> {
    this.#checkOpen()
    for (const { start, count, inside } of cutRange(within, this.#present)) {
      this.#checkOpen()
      yield { start, count, state: inside ? 'unknown' : 'unbacked' }
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw closedGuest()
  }
}

function presentFrames(extents: readonly MemoryBlockExtent[], blocks: RamBlocks): PfnRange[] {
  const found: PfnRange[] = []
  for (const { start, count, firstBlock } of extents) {
    const end = firstBlock + Math.ceil(count / BLOCK_FRAMES)
    let open: { start: number; count: number } | undefined
    for (let i = blocks.firstFrom(firstBlock); i < blocks.length && blocks.numberAt(i) < end; i++) {
      const from = (blocks.numberAt(i) - firstBlock) * BLOCK_FRAMES
      const frames = Math.min(BLOCK_FRAMES, count - from)
      if (open && endOf(open) === start + from) open.count += frames
      else found.push((open = { start: start + from, count: frames }))
    }
  }
  return mergeRanges(found)
}
