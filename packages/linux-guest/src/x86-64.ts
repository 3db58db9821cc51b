import type { Architecture } from './architecture.ts'
import { ABSENT, type Paging } from './paging.ts'
import { Refusal } from './refusal.ts'
import { required, type Vmcoreinfo } from './vmcoreinfo.ts'

/** __START_KERNEL_map (Linux arch/x86/include/asm/page_64_types.h). */
const START_KERNEL_MAP = 0xffff_ffff_8000_0000n
/** The kernel image is mapped in 512 MiB, 1 GiB with KASLR; modules follow. */
const IMAGE_MAX_BYTES = 1n << 30n
/** Virtual addresses that an x86-64 kernel can have its image at, half-open. */
export const x86_64Image = { start: START_KERNEL_MAP, end: START_KERNEL_MAP + IMAGE_MAX_BYTES } as const

const PAGE_SHIFT = 12
const PHYSICAL_BITS = 52n

const PRESENT = 1
/** At the PUD and PMD levels: maps 1 GiB or 2 MiB itself. */
const PAGE_SIZE_BIT = 1 << 7

/** Reads what a VMCOREINFO of an x86-64 kernel says. Throws Refusal when it does not fit together. */
export function x86_64(info: Vmcoreinfo): Architecture {
  const physBase = required(info.number('phys_base'), 'NUMBER(phys_base)')
  const root = required(
    info.symbol('init_top_pgt') ?? info.symbol('swapper_pg_dir') ?? info.symbol('init_level4_pgt'),
    'SYMBOL(init_top_pgt) or SYMBOL(swapper_pg_dir)',
  )
  const imageToPhysical = (virtual: bigint): bigint => {
    const physical = virtual - START_KERNEL_MAP + physBase
    if (virtual < START_KERNEL_MAP || virtual >= 1n << 64n || physical < 0n || physical >> PHYSICAL_BITS !== 0n) {
      throw new Refusal(`address 0x${virtual.toString(16)} with phys_base ${physBase} is not in the kernel image`)
    }
    return physical
  }
  const rootPhysical = imageToPhysical(root)
  if (rootPhysical % 4096n !== 0n) {
    throw new Refusal(`its root page table would be at 0x${rootPhysical.toString(16)}, which is not page-aligned`)
  }
  const imageBytes = info.number('KERNEL_IMAGE_SIZE') ?? IMAGE_MAX_BYTES
  return {
    paging: x86_64Paging({
      fiveLevel: info.number('pgtable_l5_enabled') === 1n,
      encryptionMask: info.number('sme_mask') ?? 0n,
    }),
    rootPfn: Number(rootPhysical >> BigInt(PAGE_SHIFT)),
    physBase,
    image: {
      start: START_KERNEL_MAP,
      end: START_KERNEL_MAP + (imageBytes > 0n && imageBytes < IMAGE_MAX_BYTES ? imageBytes : IMAGE_MAX_BYTES),
    },
    spareEndFrames: 0,
    kernelEntries: { start: 256, end: 512 },
    // Linux arch/x86/include/asm/sparsemem.h: 52 where the kernel can have five levels.
    sparseDefaults: { sectionSizeBits: [27], maxPhysmemBits: [52, 46] },
    imageToPhysical,
  }
}

/**
 * Four- or five-level tables (Intel SDM volume 3, 4.5). `encryptionMask` is the address bit that marks encrypted memory
 * on AMD, or zero.
 */
export function x86_64Paging(options: { fiveLevel: boolean; encryptionMask?: bigint }): Paging {
  const shifts = options.fiveLevel ? [48, 39, 30, 21, 12] : [39, 30, 21, 12]
  const last = shifts.length - 1
  const mask = options.encryptionMask ?? 0n
  const lowMask = ~Number(mask & 0xffff_f000n)
  const highMask = 0xf_ffff & ~Number((mask >> 32n) & 0xf_ffffn)
  const addressBits = (shifts[0] as number) + 9
  return {
    name: options.fiveLevel ? 'x86-64 five-level' : 'x86-64 four-level',
    levels: shifts.map((shift) => ({ shift, indexBits: 9 })),
    isMappable: (virtual) => BigInt.asUintN(64, BigInt.asIntN(addressBits, virtual)) === virtual,
    decode: (low, high, level) => {
      if ((low & PRESENT) === 0) return ABSENT
      const gfn = (high & highMask) * 0x10_0000 + ((low & lowMask) >>> PAGE_SHIFT)
      if (level === last) return gfn * 2 + 1
      if ((low & PAGE_SIZE_BIT) === 0) return gfn * 2
      // Reserved above the PUD level: the processor would fault.
      if (level < last - 2) return ABSENT
      const frames = 2 ** ((shifts[level] as number) - PAGE_SHIFT)
      return (gfn - (gfn % frames)) * 2 + 1
    },
  }
}
