import type { Paging } from './paging.ts'

/** What one VMCOREINFO says of an architecture's kernel: where its tables are and how its image is mapped. */
export interface Architecture {
  readonly paging: Paging
  /** Frame of the kernel's root page table, by formula: tables number frames in their own way, this is a pfn. */
  readonly rootPfn: number
  /** Physical minus virtual address of the kernel image, as the kernel's own `phys_base` counts it. */
  readonly physBase: bigint
  /** Virtual addresses that the kernel image is mapped in, half-open. Modules lie outside. */
  readonly image: { readonly start: bigint; readonly end: bigint }
  /** Entries of the root table that belong to the kernel, half-open. */
  readonly kernelEntries: { readonly start: number; readonly end: number }
  /** What kernels that do not export their sparse memory constants have. */
  readonly sparseDefaults: { readonly sectionSizeBits: number; readonly maxPhysmemBits: readonly number[] }
  /** Physical address of a virtual address in the kernel image, by formula and not by walking. */
  imageToPhysical(virtual: bigint): bigint
}
