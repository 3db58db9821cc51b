import { type MemoryView, openKdumpfile } from '@ullage/lab'
import { PfnSet } from '@ullage/pages'

export interface Comparison {
  /** Frames that the dump holds, by libkdumpfile's word. */
  readonly stored: PfnSet
  /** Stored frames whose content is not the guest's. */
  readonly wrong: readonly number[]
}

/**
 * Reads every frame of guest RAM, or those of `only`, from a dump with libkdumpfile and compares it with memory; unbacked
 * frames are zeros.
 */
export function compareDump(path: string, memory: MemoryView, only?: PfnSet): Comparison {
  using dump = openKdumpfile(path)
  const { frameBytes } = memory
  const found = Buffer.alloc(frameBytes)
  const expected = Buffer.alloc(frameBytes)
  const stored = new PfnSet()
  const wrong: number[] = []
  for (const extent of memory.extents) {
    for (let pfn = extent.start; pfn < extent.start + extent.count; pfn++) {
      if (only && !only.has(pfn)) continue
      if (!dump.read(pfn * frameBytes, found)) continue
      stored.add({ start: pfn, count: 1 })
      if (memory.backed.has(pfn)) memory.read({ start: pfn, count: 1 }, expected)
      else expected.fill(0)
      if (!found.equals(expected)) wrong.push(pfn)
    }
  }
  return { stored, wrong }
}
