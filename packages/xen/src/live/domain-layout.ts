import type { RamExtent } from '@ullage/offline-query'

type Warning = { readonly code: string; readonly text: string }

/** Guest RAM of a domain at one time, and the numbers that the hypervisor knows its frames by. */
export interface DomainLayout {
  readonly extents: readonly RamExtent[]
  /** The hypervisor's number of `pfn`, or undefined where the guest has none for it: there is no memory. */
  frameOf(pfn: number): number | undefined
  /** The frame that page tables of the guest call `gfn`. */
  toPfn(gfn: number): number | undefined
  readonly warnings: readonly Warning[]
}
