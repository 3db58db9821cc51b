import type { Architecture } from './architecture.ts'
import { arm64Paging } from './arm64-paging.ts'
import { Refusal } from './refusal.ts'
import { required, type Vmcoreinfo } from './vmcoreinfo.ts'

/** Page sizes that a kernel can be built for, as log2 (Linux arch/arm64/Kconfig). */
const PAGE_SHIFTS = new Map([
  [4096, 12],
  [16_384, 14],
  [65_536, 16],
])
const MIN_ADDRESS_BITS = 36
const MAX_ADDRESS_BITS = 52
const PHYSICAL_BITS = 52n

/** How far an image is looked for from `_stext` on: its header is before, and real ones have up to some 100 MiB. */
const IMAGE_BEFORE_BYTES = 2n << 20n
const IMAGE_AFTER_BYTES = 512n << 20n

/**
 * The image ends with room for the tables and the stack that it starts with (Linux arch/arm64/kernel/vmlinux.lds.S
 * init_pg_dir), more than it needs: up to 13 frames have been seen that were never touched.
 */
const SPARE_END_FRAMES = 32

/** Reads what a VMCOREINFO of an arm64 kernel says. Throws Refusal when it does not fit together. */
export function arm64(info: Vmcoreinfo): Architecture {
  const pageBytes = required(info.pageBytes, 'PAGESIZE')
  const pageShift = PAGE_SHIFTS.get(pageBytes)
  if (pageShift === undefined) throw new Refusal(`its pages have ${pageBytes} bytes, no arm64 kernel's`)
  const voffset = required(info.number('kimage_voffset'), 'NUMBER(kimage_voffset)')
  const root = required(info.symbol('swapper_pg_dir'), 'SYMBOL(swapper_pg_dir)')
  const text = required(info.symbol('_stext'), 'SYMBOL(_stext)')
  const imageToPhysical = (virtual: bigint): bigint => {
    const physical = BigInt.asUintN(64, virtual - voffset)
    if (physical >> PHYSICAL_BITS !== 0n) {
      throw new Refusal(
        `address 0x${virtual.toString(16)} with kimage_voffset 0x${voffset.toString(16)} is not in the kernel image`,
      )
    }
    return physical
  }
  const rootPhysical = imageToPhysical(root)
  if (rootPhysical % BigInt(pageBytes) !== 0n) {
    throw new Refusal(`its root page table would be at 0x${rootPhysical.toString(16)}, which is not page-aligned`)
  }
  const addressBits = addressBitsOf(info, pageShift)
  const paging = arm64Paging({ pageShift, addressBits, isLpa2: pageShift < 16 && addressBits === MAX_ADDRESS_BITS })
  const topOfMemory = (1n << 64n) - BigInt(pageBytes)
  const end = text + IMAGE_AFTER_BYTES
  return {
    paging,
    rootPfn: Number(rootPhysical >> BigInt(pageShift)),
    physBase: BigInt.asIntN(64, info.number('PHYS_OFFSET') ?? 0n),
    image: {
      start: (text - IMAGE_BEFORE_BYTES) & ~BigInt(pageBytes - 1),
      end: (end < topOfMemory ? end : topOfMemory) & ~BigInt(pageBytes - 1),
    },
    spareEndFrames: SPARE_END_FRAMES,
    kernelEntries: { start: 0, end: 2 ** (paging.levels[0]?.indexBits ?? 0) },
    // Linux arch/arm64/include/asm/sparsemem.h: 30 before 5.12, since then 27, or 29 with 64 KiB pages.
    sparseDefaults: { sectionSizeBits: [30, pageShift === 16 ? 29 : 27], maxPhysmemBits: [48, 52] },
    imageToPhysical,
  }
}

/**
 * Bits of a kernel address. A kernel built for 52 runs with fewer on processors that cannot, and TCR_EL1.T1SZ (exported
 * since 5.9) then tells how many. But with 64 KiB pages its tables keep the form they have with 52, and the processor is
 * given a later entry of the root as its start (Linux arch/arm64/include/asm/assembler.h offset_ttbr1).
 */
function addressBitsOf(info: Vmcoreinfo, pageShift: number): number {
  const built = Number(required(info.number('VA_BITS'), 'NUMBER(VA_BITS)'))
  const t1sz = info.number('TCR_EL1_T1SZ')
  const bits = pageShift === 16 || t1sz === undefined ? built : 64 - Number(t1sz)
  if (!Number.isInteger(bits) || bits < MIN_ADDRESS_BITS || bits > MAX_ADDRESS_BITS) {
    throw new Refusal(`kernel addresses of ${bits} bits (VA_BITS ${built}, T1SZ ${t1sz ?? 'unknown'}) are not arm64's`)
  }
  return bits
}
