import { type GuestMemory, OfflineError } from '@ullage/offline-query'
import { endOf, type PfnRange } from '@ullage/pages'
import type { VmcoreWriter } from '@ullage/vmcore'
import { batchFrames } from './compress-batch.ts'
import type { CompressPool } from './compress-pool.ts'
import { DumpError } from './dump-error.ts'
import type { DumpPlan } from './plan-dump.ts'

export interface WritePagesOptions {
  readonly memory: GuestMemory
  readonly plan: DumpPlan
  readonly pool: CompressPool
  readonly writer: VmcoreWriter
  readonly signal?: AbortSignal
  /** Told the number of frames done, of `plan.write` and `plan.zero` together. */
  readonly onProgress?: (done: number) => void
  /** Called once, when the last frame has been read and the guest's memory is needed no more. */
  readonly onAllRead?: () => Promise<void>
}

/**
 * Reads every frame of the plan's `write` set once, in ascending order, and hands it to the writer with the zero
 * descriptors in between. Reading (this thread), compressing (the pool) and writing overlap; the number of batches
 * bounds what is in flight.
 */
export async function writePages(options: WritePagesOptions): Promise<void> {
  const { memory, plan, pool, writer, signal } = options
  const slots = pool.batches.map((batch) => ({
    input: new Uint8Array(batch.input),
    output: new Uint8Array(batch.output),
    skipped: new Uint32Array(batch.skipped),
    sizes: new Uint32Array(batch.sizes),
    flags: new Uint32Array(batch.flags),
  }))
  const idle = slots.map((_, index) => index)
  let waiting: (() => void) | undefined
  let failure: unknown
  let done = 0
  // Appending keeps the order of the frames: each batch waits for the one before it.
  let appended: Promise<void> = Promise.resolve()

  const batches = batchesOf(plan, memory, slots)
  for (;;) {
    signal?.throwIfAborted()
    if (failure !== undefined) throw failure
    const slot = idle.pop()
    if (slot === undefined) {
      await new Promise<void>((resolve) => {
        waiting = resolve
      })
      continue
    }
    const count = batches.fill(slot)
    if (count === 0) break
    const compressed = pool.compress(slot, count)
    const previous = appended
    appended = (async () => {
      const bytes = await compressed
      await previous
      const { output, sizes, flags } = slots[slot] as (typeof slots)[number]
      await writer.append({ count, sizes, flags, payload: output.subarray(0, bytes) })
      done += count
      options.onProgress?.(done)
      idle.push(slot)
      waiting?.()
    })()
    appended.catch((error: unknown) => {
      failure ??= error
      waiting?.()
    })
  }
  await options.onAllRead?.()
  await appended
}

interface Slot {
  readonly input: Uint8Array
  readonly skipped: Uint32Array
}

/** Cuts the plan into batches; a batch may span several runs, and reads each piece of a run with one call. */
function batchesOf(plan: DumpPlan, memory: GuestMemory, slots: readonly Slot[]) {
  const pieces = piecesOf(plan, memory)
  const atOnce = batchFrames(memory.frameBytes)
  let piece = pieces.next()
  let offset = 0
  return {
    /** Fills slot `index` with the next frames and returns how many, 0 at the end. */
    fill(index: number): number {
      const { input, skipped } = slots[index] as Slot
      let filled = 0
      while (filled < atOnce && !piece.done) {
        const { range, zero } = piece.value
        const count = Math.min(atOnce - filled, range.count - offset)
        skipped.fill(zero ? 1 : 0, filled, filled + count)
        if (!zero) {
          const bytes = input.subarray(filled * memory.frameBytes, (filled + count) * memory.frameBytes)
          readFrames(memory, { start: range.start + offset, count }, bytes)
        }
        filled += count
        offset += count
        if (offset === range.count) {
          piece = pieces.next()
          offset = 0
        }
      }
      return filled
    },
  }
}

/** Runs to write and runs of zeros, ascending; runs to write are cut where one piece of the memory map ends. */
function* piecesOf(plan: DumpPlan, memory: GuestMemory): Generator<{ range: PfnRange; zero: boolean }> {
  for (const extent of memory.extents) {
    const limit = endOf(extent)
    for (let at = extent.start; at < limit; ) {
      const write = plan.write.next(at, true, limit)
      const zero = plan.zero.next(at, true, limit)
      const start = Math.min(write, zero)
      if (start === limit) break
      const end = start === write ? plan.write.next(start, false, limit) : plan.zero.next(start, false, limit)
      yield { range: { start, count: end - start }, zero: start === zero }
      at = end
    }
  }
}

function readFrames(memory: GuestMemory, range: PfnRange, into: Uint8Array): void {
  try {
    memory.read(range, into)
  } catch (error) {
    if (!(error instanceof OfflineError)) throw error
    throw new DumpError('MEMORY_UNREADABLE', `guest memory could not be read: ${error.message}`, { cause: error })
  }
}
