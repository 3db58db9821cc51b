import type { KernelEra } from './kernel-era.ts'
import type { SyntheticArchitecture } from './synthetic-architecture.ts'
import { structPageOffsets } from './write-struct-page.ts'

export interface VmcoreinfoFacts {
  readonly era: KernelEra
  readonly architecture: SyntheticArchitecture
  readonly release: string
  readonly pageBytes: number
  readonly sectionBytes: number
  /** LENGTH(mem_section). */
  readonly sectionLength: number
  readonly text: bigint
  readonly textPhysical: number
  readonly root: bigint
  readonly uts: bigint
  readonly memSection: bigint
}

/** Orders of free blocks: 11 with pages of 4 KiB, up to 14 with 64 KiB (Linux CONFIG_ARCH_FORCE_MAX_ORDER). */
export const orderCount = (frameBytes: number): number => (frameBytes === 65_536 ? 14 : frameBytes === 16_384 ? 12 : 11)

/** VMCOREINFO as the kernel writes it, in its order (Linux kernel/vmcore_info.c crash_save_vmcoreinfo_init). */
export function vmcoreinfoLines(facts: VmcoreinfoFacts): Map<string, string> {
  const { era, architecture, pageBytes } = facts
  const { flags, mapping, private: privateOffset, type, refcount, head } = structPageOffsets
  const eraLines = Object.entries(era.lines).map(([key, value]): [string, string] =>
    // Of struct folio: the second struct page in it.
    key.startsWith('OFFSET(folio.') ? [key, String(Number(value) + pageBytes)] : [key, value],
  )
  const hex = (address: bigint): string => address.toString(16)
  return new Map(
    Object.entries({
      OSRELEASE: facts.release,
      'BUILD-ID': '0123456789abcdef0123456789abcdef01234567',
      PAGESIZE: String(architecture.frameBytes),
      'SYMBOL(init_uts_ns)': hex(facts.uts),
      'SYMBOL(swapper_pg_dir)': hex(facts.root),
      'SYMBOL(_stext)': hex(facts.text),
      'SYMBOL(mem_section)': hex(facts.memSection),
      'LENGTH(mem_section)': String(facts.sectionLength),
      'SIZE(mem_section)': String(facts.sectionBytes),
      'OFFSET(mem_section.section_mem_map)': '0',
      'NUMBER(SECTION_SIZE_BITS)': String(architecture.sectionSizeBits),
      'NUMBER(MAX_PHYSMEM_BITS)': String(architecture.maxPhysmemBits),
      'SIZE(page)': String(pageBytes),
      'OFFSET(page.flags)': String(flags),
      'OFFSET(page._refcount)': String(refcount),
      'OFFSET(page.mapping)': String(mapping),
      'OFFSET(page.lru)': String(head),
      'OFFSET(page._mapcount)': String(type),
      'OFFSET(page.private)': String(privateOffset),
      'LENGTH(zone.free_area)': String(orderCount(architecture.frameBytes)),
      'NUMBER(NR_FREE_PAGES)': '0',
      ...Object.fromEntries(eraLines),
      ...architecture.lines({ text: facts.text, textPhysical: facts.textPhysical, root: facts.root }),
    }),
  )
}
