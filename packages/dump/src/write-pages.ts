import { adviseHugePages } from '@ullage/native'
import { type GuestMemory, OfflineError } from '@ullage/offline-query'
import type { PfnRange } from '@ullage/pages'
import type { VmcoreSummary, VmcoreWriter } from '@ullage/vmcore'
import { setImmediate } from 'node:timers/promises'
import { batchPages, batchSlot, type BatchSlot, slotLayout } from './batch-slots.ts'
import type { CompressSettings } from './compress-batch.ts'
import type { CompressPool } from './compress-pool.ts'
import { cutBatches, type FrameBatch, type StoredFrames } from './cut-batches.ts'
import { DumpError } from './dump-error.ts'
import { makePageStore, type ReadyStore, tryMakePageStore } from './page-store.ts'

export interface WritePagesOptions {
  readonly memory: GuestMemory
  readonly plan: StoredFrames
  readonly pool: Pick<CompressPool, 'jobs' | 'use' | 'run'>
  readonly settings: CompressSettings
  /** The most bytes that a compressed page takes. */
  readonly maxCompressedBytes: number
  /** Called once, when the guest's memory is needed no more where pages are copied: what stands before them is much to write. */
  readonly startWriter: () => Promise<VmcoreWriter>
  /** Pages of up to so many bytes are copied at once, so that the guest is needed no longer than that takes; 0 for none. */
  readonly copyBytes: number
  /** Memory for them that is ready; other memory is taken where they need more. */
  readonly store: ReadyStore
  readonly signal?: AbortSignal
  /** Told the number of frames done, of `plan.write` and `plan.zero` together. */
  readonly onProgress?: (done: number) => void
  /** Called once, when the last frame has been read and the guest's memory is needed no more. */
  readonly onAllRead?: () => Promise<void>
}

/**
 * Reads every frame of the plan's `write` set once, and hands it to the writer, compressed, in ascending order with the
 * zero descriptors in between. The pool's threads read and compress, where guest memory lies in files; else this thread
 * reads. Writing goes on meanwhile. The number of batches bounds what is in flight. Returns what the writer says at the end,
 * and the bytes that were copied before the first was compressed: 0 when there are more than `copyBytes`, or no memory to copy
 * them to. Throws DumpError, what the writer throws, or the signal's reason.
 */
export async function writePages(options: WritePagesOptions): Promise<{ summary: VmcoreSummary; copied: number }> {
  const total = options.plan.write.size * options.memory.frameBytes
  const fits = total > 0 && total <= options.copyBytes
  const copy = fits ? (options.store.take(total) ?? tryMakePageStore(total)) : undefined
  const copied = copy ? total : 0
  const pages = new PageFlow(options, copy)
  if (copy) {
    await pages.copy()
    await options.onAllRead?.()
    options.signal?.throwIfAborted()
  }
  const writer = await options.startWriter()
  await pages.write(writer, copied === 0 ? options.onAllRead : undefined)
  return { summary: await writer.finish(), copied }
}

/** Batches in flight between the guest's memory and the writer. */
class PageFlow {
  readonly #options: WritePagesOptions
  readonly #isCopied: boolean
  readonly #store: Uint8Array
  readonly #batchBytes: number
  readonly #slots: readonly BatchSlot[]

  /** `copy` has room for every page, if there is one. */
  constructor(options: WritePagesOptions, copy: SharedArrayBuffer | undefined) {
    const { memory, pool, settings, maxCompressedBytes } = options
    const { pageBytes } = settings
    const layout = slotLayout(pageBytes, maxCompressedBytes)
    const batches = pool.jobs * 2 + 2
    const slots = new SharedArrayBuffer(batches * layout.slotBytes)
    adviseHugePages(slots)
    this.#options = options
    this.#isCopied = copy !== undefined
    this.#batchBytes = batchPages(memory.frameBytes) * pageBytes
    const storeBytes = batches * this.#batchBytes
    const store = copy ?? options.store.take(storeBytes) ?? makePageStore(storeBytes)
    this.#store = new Uint8Array(store)
    this.#slots = Array.from({ length: batches }, (_, index) => batchSlot(slots, layout, index))
    pool.use({ store, slots, layout, batches, settings })
  }

  /** Reads every page into the store. */
  async copy(): Promise<void> {
    const { plan, memory, signal } = this.#options
    const reads: Promise<void>[] = []
    let at = 0
    for (const batch of cutBatches(plan, memory)) {
      await reads[reads.length - this.#slots.length]
      signal?.throwIfAborted()
      const read = this.#fill(batch, at)
      // A failure is thrown below, unless the signal comes first.
      read.catch(() => undefined)
      reads.push(read)
      at += batch.pages * memory.frameBytes
    }
    await Promise.all(reads)
  }

  async #fill(batch: FrameBatch, at: number): Promise<void> {
    const pieces = this.#piecesOf(batch)
    const done = pieces && (await this.#options.pool.run({ at, pieces, count: 0 }))
    if (done && !done.unread) return
    this.#read(batch, at)
    // Whoever wants to end this is heard.
    await setImmediate()
  }

  /** Compresses and writes every batch, reading those that are not in the store yet. */
  async write(writer: VmcoreWriter, onAllRead: (() => Promise<void>) | undefined): Promise<void> {
    const { plan, memory, signal, onProgress } = this.#options
    const idle = this.#slots.map((_, index) => index)
    let waiting: (() => void) | undefined
    let failure: { readonly error: unknown } | undefined
    let done = 0
    let copiedAt = 0
    // Appending keeps the order of the frames: each batch waits for the one before it.
    let appended: Promise<void> = Promise.resolve()
    const compressing: Promise<number>[] = []

    for (const batch of cutBatches(plan, memory)) {
      for (;;) {
        signal?.throwIfAborted()
        if (failure) throw failure.error
        if (idle.length > 0) break
        await new Promise<void>((resolve) => {
          waiting = resolve
        })
      }
      const index = idle.pop() as number
      const slot = this.#slots[index] as BatchSlot
      const compressed = this.#compress(batch, index, this.#isCopied ? copiedAt : index * this.#batchBytes)
      compressing[index] = compressed
      copiedAt += batch.pages * memory.frameBytes
      const previous = appended
      appended = (async () => {
        const bytes = await compressed
        await previous
        const { sizes, flags, prints, output } = slot
        await writer.append({ count: batch.count, sizes, flags, prints, payload: output.subarray(0, bytes) })
        done += batch.count
        onProgress?.(done)
        idle.push(index)
        waiting?.()
      })()
      appended.catch((error: unknown) => {
        failure ??= { error }
        waiting?.()
      })
    }
    // What has been compressed has been read.
    await Promise.all(compressing)
    await onAllRead?.()
    await appended
  }

  async #compress(batch: FrameBatch, index: number, at: number): Promise<number> {
    const { pool } = this.#options
    const { skipped } = this.#slots[index] as BatchSlot
    let frames = 0
    for (const { count, zero } of batch.runs) {
      skipped.fill(zero ? 1 : 0, frames, frames + count)
      frames += count
    }
    const pieces = this.#isCopied ? [] : this.#piecesOf(batch)
    if (!pieces) this.#read(batch, at)
    const order = { at, batch: index, count: batch.count }
    let done = await pool.run({ ...order, pieces: pieces ?? [] })
    if (done.unread) {
      this.#read(batch, at)
      done = await pool.run({ ...order, pieces: [] })
    }
    if (done.broken !== undefined) throw brokenPage(frameOf(batch, done.broken))
    return done.bytes
  }

  /** Where the pages of a batch lie in files, three numbers a piece; undefined where they have to be read by this thread. */
  #piecesOf(batch: FrameBatch): number[] | undefined {
    const { memory } = this.#options
    const numbers: number[] = []
    for (const run of batch.runs) {
      if (run.zero) continue
      const pieces = memory.filePieces?.(run)
      if (!pieces) return undefined
      for (const { fd, offsetBytes, sizeBytes } of pieces) numbers.push(fd, offsetBytes, sizeBytes)
    }
    return numbers
  }

  #read(batch: FrameBatch, start: number): void {
    const { memory } = this.#options
    let at = start
    for (const run of batch.runs) {
      if (run.zero) continue
      const bytes = run.count * memory.frameBytes
      readFrames(memory, run, this.#store.subarray(at, at + bytes))
      at += bytes
    }
  }
}

function frameOf({ runs }: FrameBatch, index: number): number {
  let before = 0
  for (const { start, count } of runs) {
    if (index < before + count) return start + index - before
    before += count
  }
  throw new RangeError(`no frame ${index} in a batch of ${before}`)
}

function brokenPage(pfn: number): DumpError {
  return new DumpError(
    'VERIFY_FAILED',
    `the page of pfn 0x${pfn.toString(16)} does not come out of its compression as it went in; nothing was kept`,
  )
}

function readFrames(memory: GuestMemory, { start, count }: PfnRange, into: Uint8Array): void {
  try {
    memory.read({ start, count }, into)
  } catch (error) {
    if (!(error instanceof OfflineError)) throw error
    throw new DumpError('MEMORY_UNREADABLE', `guest memory could not be read: ${error.message}`, { cause: error })
  }
}
