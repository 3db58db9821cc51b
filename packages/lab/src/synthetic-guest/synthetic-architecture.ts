/** Where an architecture's kernel has things, and how it writes page tables. Addresses are virtual unless they say else. */
export interface SyntheticArchitecture {
  readonly machine: 'x86_64' | 'aarch64'
  readonly frameBytes: number
  /** From the root down: which address bits choose an entry. */
  readonly levels: readonly { readonly shift: number; readonly indexBits: number }[]
  readonly imageBase: bigint
  /** Where the direct map has physical address 0. */
  readonly directMap: bigint
  /** Struct page of frame 0, where the kernel has a virtual memory map. */
  readonly vmemmap: bigint
  readonly sectionSizeBits: number
  readonly maxPhysmemBits: number
  /** Physical address where guest RAM usually begins, in bytes. */
  readonly ramBytes: number
  /** Entry of a table: that points to a table, maps a page, or maps a block at a level above the last. */
  entry(pfn: number, kind: 'table' | 'page' | 'block'): bigint
  /** Frame that an entry of kind `table` points to. */
  tablePfn(entry: bigint): number
  /** VMCOREINFO lines of this architecture. */
  lines(kernel: { readonly text: bigint; readonly textPhysical: number; readonly root: bigint }): Record<string, string>
}

const START_KERNEL_MAP = 0xffff_ffff_8000_0000n
const PRESENT_WRITABLE = 0x3n
const ACCESSED_DIRTY = 0x60n
const LARGE = 0x80n
const NO_EXECUTE = 1n << 63n

/** x86-64 (Linux arch/x86/include/asm/page_64_types.h, Documentation/arch/x86/x86_64/mm.rst). */
export function syntheticX86(
  options: { fiveLevel?: boolean; virtualOffsetBytes?: number } = {},
): SyntheticArchitecture {
  const { fiveLevel = false, virtualOffsetBytes = 0 } = options
  const shifts = fiveLevel ? [48, 39, 30, 21, 12] : [39, 30, 21, 12]
  return {
    machine: 'x86_64',
    frameBytes: 4096,
    levels: shifts.map((shift) => ({ shift, indexBits: 9 })),
    imageBase: START_KERNEL_MAP + 0x100_0000n + BigInt(virtualOffsetBytes),
    directMap: fiveLevel ? 0xff11_0000_0000_0000n : 0xffff_8880_0000_0000n,
    vmemmap: fiveLevel ? 0xffd4_0000_0000_0000n : 0xffff_ea00_0000_0000n,
    sectionSizeBits: 27,
    maxPhysmemBits: fiveLevel ? 52 : 46,
    ramBytes: 0,
    entry: (pfn, kind) => {
      const address = (BigInt(pfn) << 12n) | PRESENT_WRITABLE | ACCESSED_DIRTY
      if (kind === 'table') return address
      return address | NO_EXECUTE | (kind === 'block' ? LARGE : 0n)
    },
    tablePfn: (entry) => Number((entry & 0x000f_ffff_ffff_f000n) >> 12n),
    lines: ({ text, textPhysical, root }) => ({
      'NUMBER(phys_base)': String(BigInt(textPhysical) - (text - START_KERNEL_MAP)),
      'SYMBOL(init_top_pgt)': root.toString(16),
      'NUMBER(pgtable_l5_enabled)': fiveLevel ? '1' : '0',
      KERNELOFFSET: (text - START_KERNEL_MAP - 0x100_0000n).toString(16),
      'NUMBER(KERNEL_IMAGE_SIZE)': '1073741824',
      'NUMBER(sme_mask)': '0',
    }),
  }
}

/** Where a kernel with so many address bits maps its image; modules lie below it. */
const ARM_IMAGE_ABOVE_START = 0x8000_0000n

/**
 * arm64 with pages of 4, 16 or 64 KiB and 39 to 52 bits of virtual address (Linux arch/arm64/include/asm/memory.h,
 * pgtable-hwdef.h). 52 bits with pages below 64 KiB are written as LPA2 has them.
 */
export function syntheticArm(options: { pageShift?: 12 | 14 | 16; addressBits?: number } = {}): SyntheticArchitecture {
  const { pageShift = 12, addressBits = 48 } = options
  const frameBytes = 2 ** pageShift
  const indexBits = pageShift - 3
  const depth = Math.ceil((addressBits - pageShift) / indexBits)
  const levels = Array.from({ length: depth }, (_, i) => {
    const shift = pageShift + (depth - 1 - i) * indexBits
    return { shift, indexBits: Math.min(indexBits, addressBits - shift) }
  })
  const start = (1n << 64n) - (1n << BigInt(addressBits))
  const half = 1n << BigInt(Math.min(addressBits, 48) - 1)
  const imageBase = (1n << 64n) - half + ARM_IMAGE_ABOVE_START
  const isLarge = addressBits > 48
  return {
    machine: 'aarch64',
    frameBytes,
    levels,
    imageBase,
    directMap: start,
    vmemmap: (1n << 64n) - (1n << BigInt(Math.min(addressBits, 48) - 4)),
    sectionSizeBits: pageShift === 16 ? 29 : 27,
    maxPhysmemBits: isLarge ? 52 : 48,
    ramBytes: 0x4000_0000,
    entry: (pfn, kind) => {
      const bits = ARM_BITS[kind] & (isLarge && pageShift < 16 ? ~SHAREABLE : ~0n)
      return armAddress(BigInt(pfn) << BigInt(pageShift), pageShift, isLarge) | bits
    },
    tablePfn: (entry) => Number(entry & 0x0000_ffff_ffff_f000n & ~BigInt(frameBytes - 1)) / frameBytes,
    lines: ({ text, textPhysical }) => ({
      'NUMBER(VA_BITS)': String(addressBits),
      'NUMBER(MODULES_VADDR)': `0x${((1n << 64n) - half).toString(16)}`,
      'NUMBER(MODULES_END)': `0x${imageBase.toString(16)}`,
      'NUMBER(kimage_voffset)': `0x${(text - BigInt(textPhysical)).toString(16)}`,
      // The direct map has the physical address that it starts with here.
      'NUMBER(PHYS_OFFSET)': '0x0',
      'NUMBER(TCR_EL1_T1SZ)': `0x${(64 - addressBits).toString(16)}`,
      KERNELOFFSET: '0',
      'NUMBER(KERNELPACMASK)': '0x0',
    }),
  }
}

/** Valid, and for what maps memory: accessed, inner shareable, attributes, not executable. */
const ARM_BITS = { table: 0x3n, page: 0x68_0000_0000_0703n, block: 0x68_0000_0000_0701n } as const

/** How memory is shared: address bits with LPA2, which takes it from TCR_EL1 instead. */
const SHAREABLE = 0x300n

/** Address bits from 48 up stand elsewhere: at 15:12 with 64 KiB pages, at 9:8 with smaller ones (LPA2, bits 51:50). */
function armAddress(address: bigint, pageShift: number, isLarge: boolean): bigint {
  if (!isLarge) return address
  const low = address & 0x0000_ffff_ffff_ffffn
  if (pageShift === 16) return low | (((address >> 48n) & 0xfn) << 12n)
  return (address & 0x0003_ffff_ffff_ffffn) | (((address >> 50n) & 3n) << 8n)
}
