import type { Paging } from './paging.ts'

/** What one VMCOREINFO says of an architecture's kernel: where its tables are and how its image is mapped. */
export interface Architecture {
  readonly paging: Paging
  /** Frame of the kernel's root page table, by formula: tables number frames in their own way, this is a pfn. */
  readonly rootPfn: number
  /**
   * What the header of a vmcore calls `phys_base`: on x86-64 the kernel's own, how far its image was moved in physical
   * memory; on arm64 where its linear map begins (PHYS_OFFSET).
   */
  readonly physBase: bigint
  /**
   * Virtual addresses that the kernel image is mapped in, half-open. What is mapped there and is not where
   * `imageToPhysical` says is something else.
   */
  readonly image: { readonly start: bigint; readonly end: bigint }
  /** Frames at the end of the image, at most, that a kernel need not have touched: they may have no memory. */
  readonly spareEndFrames: number
  /** Entries of the root table that belong to the kernel, half-open. */
  readonly kernelEntries: { readonly start: number; readonly end: number }
  /** What kernels that do not export their sparse memory constants have. */
  readonly sparseDefaults: { readonly sectionSizeBits: readonly number[]; readonly maxPhysmemBits: readonly number[] }
  /** Physical address of a virtual address in the kernel image, by formula and not by walking. */
  imageToPhysical(virtual: bigint): bigint
}
