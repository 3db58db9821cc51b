import { endOf, type PfnRange } from '@ullage/pages'
import type { Kernel } from './kernel.ts'
import type { StructPage } from './struct-page.ts'

/** Struct pages are read in pieces of at most this many bytes. */
const PIECE_BYTES = 4096

/**
 * Number of frames of `range` that nobody holds though no free block has them: no mapping, no type, no tail, and
 *
 * - no reference: they wait on the kernel's per-CPU lists (Linux mm/page_alloc.c, struct per_cpu_pages)
 * - or the mark `reserved`, with the one reference and no mapping that such a frame is made with: set aside at boot, as the
 *   crashkernel= area is, or in a hole of the firmware's map, and never given to anybody
 *
 * Neither may ever have been touched, and no balloon can have taken the latter. A `reserved` of 0 counts none of them.
 */
export function countIdle({ memory, sections, page }: Kernel, range: PfnRange, reserved: number): number {
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
    if (bytes) idle += countIn(new Int32Array(bytes.buffer), page, { count, reserved })
    pfn += count
  }
  return idle
}

function countIn(
  words: Int32Array,
  page: StructPage,
  { count, reserved }: { count: number; reserved: number },
): number {
  const stride = page.bytes >>> 2
  let idle = 0
  for (let at = 0; at < count * stride; at += stride) {
    const isTail = page.compoundHead !== undefined && ((words[at + page.compoundHead] as number) & 1) === 1
    if (isTail || words[at + page.mapcount] !== -1) continue
    if (words[at + page.refcount] === 0 || isSetAside(words, at, page, reserved)) idle++
  }
  return idle
}

function isSetAside(
  words: Int32Array,
  at: number,
  { flags, refcount, mapping }: StructPage,
  reserved: number,
): boolean {
  const isMarked = ((words[at + flags] as number) & reserved) !== 0
  return isMarked && words[at + refcount] === 1 && words[at + mapping] === 0 && words[at + mapping + 1] === 0
}
