import type { Kernel } from './kernel.ts'
import type { MappedRun } from './kernel-memory.ts'

/** Whether a run of pages, counted from the start of the image, lies as far from the text as its addresses do. */
export function isImage({ architecture, memory, text, textPfn }: Kernel, { at, pfn }: MappedRun): boolean {
  const textAt = Number((text - architecture.image.start) >> BigInt(memory.frames.frameShift))
  return pfn === textPfn + at - textAt
}
