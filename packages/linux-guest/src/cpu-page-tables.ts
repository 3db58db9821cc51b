import { type ElfNote, QEMUCPUState } from '@ullage/layout'
import type { GuestFrames } from './guest-frames.ts'
import type { Kernel } from './kernel.ts'
import { PageWalker } from './page-walker.ts'

/** One confirmed is enough, and the vCPUs of a kernel that runs are not all elsewhere. */
const MAX_CPUS = 1024
/** With page table isolation a vCPU in user mode has the second of two tables (Linux arch/x86/mm/pti.c). */
const PTI_USER_TABLE = 1n << 12n
const ADDRESS_MASK = 0x000f_ffff_ffff_f000n
const CR4_LA57 = 1n << 12n

export interface CpuPageTables {
  /** vCPUs whose state the notes hold. */
  readonly cpus: number
  /** Each once. A vCPU that does not page has none. */
  readonly roots: readonly CpuPageTable[]
}

/** A root table that a vCPU had loaded. */
export interface CpuPageTable {
  /** Physical address, as CR3 holds it. */
  readonly address: bigint
  /** CR4.LA57. */
  readonly fiveLevel: boolean
}

/** Page tables that vCPUs had loaded, by the notes of QEMU. */
export function cpuPageTables(notes: readonly ElfNote[]): CpuPageTables {
  const roots = new Map<bigint, CpuPageTable>()
  let cpus = 0
  for (const { desc } of notes.filter(({ name }) => name === 'QEMU').slice(0, MAX_CPUS)) {
    if (desc.length < QEMUCPUState.size) continue
    const { version, size, cr } = QEMUCPUState.read(desc)
    if (version !== 1 || size < QEMUCPUState.size) continue
    cpus++
    const address = (cr[3] as bigint) & ADDRESS_MASK
    if (address !== 0n) roots.set(address, { address, fiveLevel: ((cr[4] as bigint) & CR4_LA57) !== 0n })
  }
  return { cpus, roots: [...roots.values()] }
}

/**
 * Whether any vCPU's page tables have the kernel's text where `kernel` has it. Tells the kernel that runs from one that
 * ran before it and whose memory is still there.
 */
export function isRunBy(kernel: Kernel, frames: GuestFrames, roots: readonly CpuPageTable[]): boolean {
  const text = kernel.info.symbol('_stext')
  if (text === undefined) return false
  // The address in CR3 has the bit that marks encrypted memory, where there is one (Linux arch/x86/mm/mem_encrypt.c).
  const encryption = kernel.info.number('sme_mask') ?? 0n
  return withKernelTables(roots).some(({ address }) => {
    const table = address & ~encryption
    const pfn = frames.view.toPfn(Number(table >> BigInt(frames.frameShift)))
    if (pfn === undefined) return false
    const walker = new PageWalker(frames, kernel.architecture.paging, pfn)
    return walker.walk(text) === 'mapped' && frames.view.toPfn(walker.gfn) === kernel.textPfn
  })
}

/** Each table, and beside one that may be a process's second one its first, which has all of the kernel. */
export function withKernelTables(roots: readonly CpuPageTable[]): CpuPageTable[] {
  return roots.flatMap((root) => {
    const isSecond = (root.address & PTI_USER_TABLE) !== 0n
    return isSecond ? [root, { ...root, address: root.address & ~PTI_USER_TABLE }] : [root]
  })
}
