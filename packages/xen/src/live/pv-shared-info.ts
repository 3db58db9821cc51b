import { readU64 } from '@ullage/layout'
import { SHARED_INFO_MAX_PFN } from '../core-layout.ts'
import { frameBytes } from './frame-bytes.ts'
import type { DomainInfo, Hypervisor } from './hypervisor.ts'

/** What a PV guest says of its p2m: `struct arch_shared_info` (Xen xen/include/public/arch-x86/xen.h), x86-64. */
export interface SharedInfo {
  /** One more than the last frame that the p2m speaks of. 0 before the kernel has set it up. */
  readonly maxPfn: number
  /** Machine frame of a page with the machine frames of the pages of the frame list; 0 when there is none. */
  readonly frameListList: number
  /** Machine address of the top page table through which `p2mVaddr` is reached; 0 when there is none. */
  readonly p2mCr3: number
  /** Guest virtual address of the p2m, an array of u64. */
  readonly p2mVaddr: bigint
  /** Counted up whenever the tables behind `p2mVaddr` change. */
  readonly p2mGeneration: bigint
}

const ARCH = SHARED_INFO_MAX_PFN

/** Reads the shared info of a PV domain. Throws OfflineError. */
export function readSharedInfo(hypervisor: Hypervisor, { domid, sharedInfoFrame }: DomainInfo): SharedInfo {
  const bytes = frameBytes(hypervisor, domid, sharedInfoFrame, 'its shared info')
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return {
    maxPfn: readU64(view, ARCH),
    frameListList: readU64(view, ARCH + 8),
    p2mCr3: readU64(view, ARCH + 24),
    p2mVaddr: view.getBigUint64(ARCH + 32, true),
    p2mGeneration: view.getBigUint64(ARCH + 40, true),
  }
}
