import { bytes, struct, u16, u32, u64 } from '@ullage/layout'

/** Numbers of hypercalls (Xen xen/include/public/xen.h). */
export const HYPERCALL = { memory_op: 12, multicall: 13, xen_version: 17, hvm_op: 34, domctl: 36 } as const

/** Operations of those (Xen xen/include/public/version.h, memory.h, hvm/hvm_op.h). */
export const XENVER_version = 0
export const XENMEM_maximum_gpfn = 14
export const XENMEM_get_pod_target = 17
export const HVMOP_get_mem_type = 15

/** HVMMEM_mmio_dm: no RAM here, which every hole is as well (Xen xen/include/public/hvm/hvm_op.h). */
export const HVMMEM_MMIO_DM = 2

/** Operations of domctl, the same in every version of `interfaceVersions` (Xen xen/include/public/domctl.h). */
export const DOMCTL = {
  pausedomain: 3,
  unpausedomain: 4,
  getdomaininfo: 5,
  getvcpucontext: 13,
  get_address_size: 36,
  getpageframeinfo3: 61,
} as const

/** Of a frame's type: no frame of this domain is there; its memory is broken. The type is in bits 28 to 31. */
export const PFINFO_XTAB = 0xf
export const PFINFO_BROKEN = 0xd
export const PFINFO_SHIFT = 28

/** `struct xen_domctl` without its union, which comes next and takes 128 bytes. */
export const XenDomctl = struct('xen_domctl', 144, {
  cmd: u32,
  interface_version: u32,
  domain: u16,
  _pad: bytes(6),
  u: bytes(128),
})

export const DOMCTL_UNION = 16

export const GetDomainInfo = struct('xen_domctl_getdomaininfo', 104, {
  domain: u16,
  pad1: u16,
  /** XEN_DOMINF_*. */
  flags: u32,
  tot_pages: u64,
  max_pages: u64,
  outstanding_pages: u64,
  shr_pages: u64,
  paged_pages: u64,
  shared_info_frame: u64,
  cpu_time: u64,
  nr_online_vcpus: u32,
  max_vcpu_id: u32,
  ssidref: u32,
  handle: bytes(16),
  cpupool: u32,
  gpaddr_bits: bytes(8),
})

export const DOMINF = { dying: 1 << 0, hvm_guest: 1 << 1, shutdown: 1 << 2, paused: 1 << 3 } as const

export const PodTarget = struct('xen_pod_target', 40, {
  target_pages: u64,
  tot_pages: u64,
  pod_cache_pages: u64,
  pod_entries: u64,
  domid: u16,
})

/** `struct multicall_entry`: u64 op, result, args[6]. */
export const MULTICALL_ENTRY_WORDS = 8
/** `struct xen_hvm_get_mem_type`: u16 domid, mem_type, pad[2]; u64 pfn. */
export const GET_MEM_TYPE_BYTES = 16
