import type { GuestMemory } from '@ullage/offline-query'
import { endOf, type PfnRange } from '@ullage/pages'
import { batchFrames, batchPages } from './batch-slots.ts'
import type { DumpPlan } from './plan-dump.ts'

/** Frames that are stored together, one after another in the order of the plan. */
export interface FrameBatch {
  /** Those to write, `pages` in all, and those of zeros, each run inside one extent. */
  readonly runs: readonly (PfnRange & { readonly zero: boolean })[]
  /** Frames in all. */
  readonly count: number
  /** Frames that are read. */
  readonly pages: number
}

/** What a plan stores. */
export type StoredFrames = Pick<DumpPlan, 'write' | 'zero'>

/** Cuts what a plan stores into batches. */
export function* cutBatches(plan: StoredFrames, memory: GuestMemory): Generator<FrameBatch> {
  const maxPages = batchPages(memory.frameBytes)
  const maxFrames = batchFrames(memory.frameBytes)
  let runs: (PfnRange & { zero: boolean })[] = []
  let count = 0
  let pages = 0
  for (const run of storedRuns(plan, memory)) {
    for (let at = run.start; at < endOf(run); ) {
      const room = run.zero ? maxFrames - count : Math.min(maxFrames - count, maxPages - pages)
      const taken = Math.min(room, endOf(run) - at)
      if (taken > 0) runs.push({ start: at, count: taken, zero: run.zero })
      at += taken
      count += taken
      if (!run.zero) pages += taken
      if (at < endOf(run)) {
        yield { runs, count, pages }
        runs = []
        count = 0
        pages = 0
      }
    }
  }
  if (count > 0) yield { runs, count, pages }
}

/** Runs to write and runs of zeros, ascending; runs are cut where one piece of the memory map ends. */
function* storedRuns(plan: StoredFrames, memory: GuestMemory): Generator<PfnRange & { zero: boolean }> {
  for (const extent of memory.extents) {
    const limit = endOf(extent)
    for (let at = extent.start; at < limit; ) {
      const write = plan.write.next(at, true, limit)
      const zero = plan.zero.next(at, true, limit)
      const start = Math.min(write, zero)
      if (start === limit) break
      const end = start === write ? plan.write.next(start, false, limit) : plan.zero.next(start, false, limit)
      yield { start, count: end - start, zero: start === zero }
      at = end
    }
  }
}
