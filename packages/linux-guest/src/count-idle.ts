import { endOf, type PfnRange } from '@ullage/pages'
import type { KernelMemory } from './kernel-memory.ts'
import type { MemorySections } from './memory-sections.ts'
import type { StructPage } from './struct-page.ts'

/** Struct pages are read in pieces of at most this many bytes. */
const PIECE_BYTES = 4096

/**
 * Number of frames of `range` that nobody holds though no free block has them: no reference, no mapping, no type, no
 * tail. Such frames wait on the kernel's per-CPU lists (Linux mm/page_alloc.c, struct per_cpu_pages), which may hold
 * memory that was never touched.
 */
export function countIdle(memory: KernelMemory, sections: MemorySections, page: StructPage, range: PfnRange): number {
  const atOnce = Math.max(1, Math.floor(PIECE_BYTES / page.bytes))
  let idle = 0
  for (let pfn = range.start; pfn < endOf(range); ) {
    const number = Math.floor(pfn / sections.sectionFrames)
    const first = number * sections.sectionFrames
    const count = Math.min(atOnce, endOf(range) - pfn, first + sections.sectionFrames - pfn)
    const section = sections.at(number)
    const bytes =
      section.kind === 'online'
        ? memory.read(section.map + BigInt(pfn - first) * BigInt(page.bytes), count * page.bytes)
        : undefined
    if (bytes) idle += countIn(new Int32Array(bytes.buffer), page, count)
    pfn += count
  }
  return idle
}

function countIn(words: Int32Array, page: StructPage, count: number): number {
  const stride = page.bytes >>> 2
  let idle = 0
  for (let at = 0; at < count * stride; at += stride) {
    const isTail = page.compoundHead !== undefined && ((words[at + page.compoundHead] as number) & 1) === 1
    if (words[at + page.refcount] === 0 && words[at + page.mapcount] === -1 && !isTail) idle++
  }
  return idle
}
