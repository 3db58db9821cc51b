import type { DumpFormat } from './dump-options.ts'
import type { SpaceNeed } from './space-need.ts'

/** Bytes of one page descriptor of a kdump-compressed file. */
const DESCRIPTOR_BYTES = 24

/** Of a plan, what its size depends on. */
export interface PlannedFrames {
  readonly write: { readonly size: number }
  readonly zero: { readonly size: number }
  readonly maxPfn: number
}

/**
 * What the artifact takes: at least its headers, bitmaps and descriptors, at most that with every page stored as it is. Pages of
 * zeros, and pages that are equal, may be there once or not at all, also where nothing is compressed.
 */
export function estimateArtifact(
  plan: PlannedFrames,
  options: { frameBytes: number; format: DumpFormat; notesBytes: number },
): SpaceNeed {
  const { frameBytes, format } = options
  // Frames of zeros that are not read share a page.
  const pages = (plan.write.size + Math.min(1, plan.zero.size)) * frameBytes
  const stored = plan.write.size + plan.zero.size
  const bitmapBytes = Math.ceil(plan.maxPfn / 8 / frameBytes) * frameBytes
  const fixed =
    format === 'elf'
      ? frameBytes + options.notesBytes
      : (3 + Math.ceil(options.notesBytes / frameBytes)) * frameBytes + 2 * bitmapBytes + stored * DESCRIPTOR_BYTES
  return { atLeastBytes: fixed, atMostBytes: fixed + pages }
}
