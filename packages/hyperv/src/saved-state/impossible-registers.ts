import type { CpuState } from '@ullage/layout'
import { findRange, type PfnRange } from '@ullage/pages'

/** Bits of CR0 that there are (Intel SDM, volume 3, 2.5). */
const CR0_BITS = 0xe005_003fn
const CR0_PE = 1n
/** Reads as one on every processor that has 64 bits. */
const CR0_ET = 1n << 4n
const CR0_PG = 1n << 31n
const ADDRESS_MASK = 0x000f_ffff_ffff_f000n
const PAGE_SHIFT = 12n

/**
 * Why these cannot be the control registers of an x86-64 vCPU of a guest with this RAM, or undefined. Tells registers that
 * were never filled in, or stand elsewhere than they are looked for, from those of a vCPU that does not page.
 */
export function impossibleRegisters({ cr }: CpuState, ram: readonly PfnRange[]): string | undefined {
  const [cr0 = 0n, , , cr3 = 0n] = cr
  const shown = `cr0 0x${cr0.toString(16)}, cr3 0x${cr3.toString(16)}`
  const isPaging = (cr0 & CR0_PG) !== 0n
  if ((cr0 & ~CR0_BITS) !== 0n || (cr0 & CR0_ET) === 0n || (isPaging && (cr0 & CR0_PE) === 0n)) {
    return `${shown}: no processor has such a cr0`
  }
  const table = Number((cr3 & ADDRESS_MASK) >> PAGE_SHIFT)
  return isPaging && findRange(ram, table) === -1 ? `${shown}: its page table is not in guest RAM` : undefined
}
