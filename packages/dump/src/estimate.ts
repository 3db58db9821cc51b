import type { DumpPlan } from './plan-dump.ts'

/** Bytes of one page descriptor of a kdump-compressed file. */
const DESCRIPTOR_BYTES = 24

/**
 * What the artifact takes: at least its headers, bitmaps and descriptors (or, where nothing compresses, the pages too),
 * at most that with every page stored as it is.
 */
export function estimateArtifact(
  plan: DumpPlan,
  options: { frameBytes: number; format: 'kdump' | 'flattened' | 'elf'; compressible: boolean; notesBytes: number },
): { atLeastBytes: number; atMostBytes: number } {
  const { frameBytes, format } = options
  const pages = plan.write.size * frameBytes
  const stored = plan.write.size + plan.zero.size
  const bitmapBytes = Math.ceil(plan.maxPfn / 8 / frameBytes) * frameBytes
  const fixed =
    format === 'elf'
      ? frameBytes + options.notesBytes
      : (3 + Math.ceil(options.notesBytes / frameBytes)) * frameBytes + 2 * bitmapBytes + stored * DESCRIPTOR_BYTES
  return { atLeastBytes: options.compressible ? fixed : fixed + pages, atMostBytes: fixed + pages }
}
