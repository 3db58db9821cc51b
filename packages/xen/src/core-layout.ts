import { array, bytes, struct, u16, u32, u64 } from '@ullage/layout'

/** Types of the notes named `Xen` (Xen docs/misc/dump-core-format.txt, xen/include/public/elfnote.h). */
export const XEN_ELFNOTE_DUMPCORE_HEADER = 0x200_0001
export const XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION = 0x200_0003

/** Magic of a paravirtualised guest, and of one with hardware assistance: HVM or PVH. */
export const XC_CORE_MAGIC = 0xf00f_ebedn
export const XC_CORE_MAGIC_HVM = 0xf00f_ebeen

/** The one format there is, and the page size it has on x86. */
export const FORMAT_VERSION = 1n
export const PAGE_BYTES = 4096

/** XC_CORE_INVALID_PFN, XC_CORE_INVALID_GMFN: padding, whose page is no guest memory. */
export const INVALID_FRAME = 0xffff_ffff_ffff_ffffn

/** Description of the header note. */
export const DumpcoreHeader = struct('xen_dumpcore_elfnote_header_desc', 32, {
  magic: u64,
  nr_vcpus: u64,
  nr_pages: u64,
  page_size: u64,
})

/** x86-64 `struct cpu_user_regs` (Xen xen/include/public/arch-x86/xen-x86_64.h). */
const CpuUserRegs = struct('cpu_user_regs', 200, {
  /** r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi. */
  general: array(u64, 15),
  error_code: u32,
  entry_vector: u32,
  rip: u64,
  cs: u16,
  cs_pad: bytes(6),
  rflags: u64,
  rsp: u64,
  ss: u16,
  ss_pad: bytes(6),
  es: u16,
  es_pad: bytes(6),
  ds: u16,
  ds_pad: bytes(6),
  fs: u16,
  fs_pad: bytes(6),
  gs: u16,
  gs_pad: bytes(6),
})

/** x86-64 `struct vcpu_guest_context` (Xen xen/include/public/arch-x86/xen.h): one entry of `.xen_prstatus`. */
export const VcpuGuestContext = struct('vcpu_guest_context', 0x1430, {
  fpu: bytes(512),
  /** VGCF_*. */
  flags: u64,
  user_regs: CpuUserRegs,
  trap_ctxt: bytes(4096),
  ldt_base: u64,
  ldt_ents: u64,
  gdt_frames: array(u64, 16),
  gdt_ents: u64,
  kernel_ss: u64,
  kernel_sp: u64,
  ctrlreg: array(u64, 8),
  debugreg: array(u64, 8),
  event_callback_eip: u64,
  failsafe_callback_eip: u64,
  syscall_callback_eip: u64,
  vm_assist: u64,
  fs_base: u64,
  gs_base_kernel: u64,
  gs_base_user: u64,
})

/** Of a PV guest: the vCPU was in its kernel. */
export const VGCF_IN_KERNEL = 1n << 2n

/**
 * x86-64 `shared_info.arch.max_pfn`: of a PV guest one more than the last frame its p2m speaks of, ballooned or not
 * (Xen xen/include/public/xen.h, Linux arch/x86/xen/p2m.c).
 */
export const SHARED_INFO_MAX_PFN = 0xc10
