import type { Kernel } from './kernel.ts'

/** Where PG_reserved can be: flags lie from bit 0 up, and above them what the kernel packs into the same word. */
export const FLAG_BITS = 0x01ff_ffff

/**
 * PG_reserved, as a mask on the low 32 flags. The kernel marks all that is set aside at boot with it, its image first of all
 * (Linux mm/memblock.c memmap_init_reserved_pages), and takes the mark from a frame exactly when it frees it (mm/page_alloc.c
 * free_reserved_page: init memory, gaps behind text and rodata); pages of processes and of page cache never have it. The
 * bit differs between kernels and is not exported: it is the one that frames share which cannot have been freed, those of
 * `_stext`, of the root page table and of `init_uts_ns`. Undefined where they do not share exactly one.
 */
export function reservedMark(kernel: Kernel): number | undefined {
  const { memory, architecture, info, textPfn } = kernel
  const uts = info.symbol('init_uts_ns')
  const utsPfn = uts === undefined ? undefined : memory.toPfn(uts)
  const sure = [textPfn, architecture.rootPfn, utsPfn]
  const common = sure.reduce<number>(
    (bits, pfn) => bits & ((pfn === undefined ? undefined : flagsOf(kernel, pfn)) ?? 0),
    FLAG_BITS,
  )
  const isOneBit = common !== 0 && (common & (common - 1)) === 0
  return isOneBit ? common : undefined
}

/** Tells which frames of the kernel image were never given back; undefined where that cannot be told. */
export function imageMarks(kernel: Kernel): { isKept(pfn: number): boolean } | undefined {
  const mark = reservedMark(kernel)
  if (mark === undefined) return undefined
  return {
    isKept: (pfn) => {
      const flags = flagsOf(kernel, pfn)
      return flags === undefined || (flags & mark) !== 0
    },
  }
}

/** The low 32 bits of a frame's page flags, or undefined when its struct page cannot be read. */
export function flagsOf({ sections, memory, page }: Kernel, pfn: number): number | undefined {
  const section = sections.at(Math.floor(pfn / sections.sectionFrames))
  if (section.kind !== 'online') return undefined
  const address = section.map + BigInt((pfn % sections.sectionFrames) * page.bytes)
  const bytes = memory.read(address, page.bytes)
  return bytes && new DataView(bytes.buffer).getUint32(page.flags * 4, true)
}
