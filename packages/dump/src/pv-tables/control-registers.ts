import { QEMUCPUState, readElfNotes } from '@ullage/layout'

const PAGE_BYTES = 4096n
const ADDRESS_MASK = 0x000f_ffff_ffff_f000n

/** CR3, and CR1, in which Xen tells the root that a PV vCPU has in user mode (Xen xen/arch/x86/domctl.c). */
const ROOT_REGISTERS = [3, 1] as const

/** A root table that a vCPU's control registers name. */
interface LoadedRoot {
  /** Byte offset of the register in the notes. */
  readonly at: number
  /** As the register has it, an address. */
  readonly value: bigint
  /** As page tables number frames. */
  readonly gfn: number
}

/** The root tables that vCPUs had loaded, by their notes `QEMU`; none for a register of 0. */
export function* loadedRoots(elfNotes: Uint8Array): Generator<LoadedRoot> {
  const view = new DataView(elfNotes.buffer, elfNotes.byteOffset, elfNotes.byteLength)
  for (const { name, desc, descPosition } of readElfNotes(elfNotes)) {
    if (name !== 'QEMU' || desc.length < QEMUCPUState.size || QEMUCPUState.read(desc).version !== 1) continue
    for (const register of ROOT_REGISTERS) {
      const at = descPosition + QEMUCPUState.offsets.cr + register * 8
      const value = view.getBigUint64(at, true)
      if (value !== 0n) yield { at, value, gfn: Number((value & ADDRESS_MASK) / PAGE_BYTES) }
    }
  }
}

/** A copy of the notes whose root tables are the guest's own frames; a root that is not its own stays. */
export function withOwnRoots(
  elfNotes: Uint8Array,
  toPfn: (gfn: number) => number | undefined,
): { notes: Uint8Array; rewritten: number; left: number } {
  const notes = Uint8Array.from(elfNotes)
  const view = new DataView(notes.buffer)
  let rewritten = 0
  let left = 0
  for (const { at, value, gfn } of loadedRoots(elfNotes)) {
    const pfn = toPfn(gfn)
    if (pfn === undefined) {
      left++
      continue
    }
    view.setBigUint64(at, (value & ~ADDRESS_MASK) | (BigInt(pfn) * PAGE_BYTES), true)
    rewritten++
  }
  return { notes, rewritten, left }
}
