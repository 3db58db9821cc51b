import { type CpuState, cpuSegment as segment } from '@ullage/layout'
import { VcpuGuestContext, VGCF_IN_KERNEL } from './core-layout.ts'

type Context = ReturnType<typeof VcpuGuestContext.read>

/**
 * Registers of a `struct vcpu_guest_context`, as a core, an image of a PV guest and XEN_DOMCTL_getvcpucontext have it.
 * CR3 of a PV guest is a machine address where it was loaded, and one of the guest's own frames in an image.
 */
export function contextState(context: Context): CpuState {
  const { user_regs, ctrlreg } = context
  const { active, other } = gsBases(context)
  return {
    general: user_regs.general,
    rip: user_regs.rip,
    rflags: user_regs.rflags,
    rsp: user_regs.rsp,
    segments: {
      cs: segment(user_regs.cs),
      ds: segment(user_regs.ds),
      es: segment(user_regs.es),
      fs: segment(user_regs.fs, context.fs_base),
      gs: segment(user_regs.gs, active),
      ss: segment(user_regs.ss),
      ldt: segment(0, context.ldt_base),
      tr: segment(0),
      gdt: segment(0),
      idt: segment(0),
    },
    cr: ctrlreg.slice(0, 5),
    otherGsBase: other,
  }
}

/**
 * The base of gs that was in force, and the one that swapgs would bring: the kernel's where the vCPU was in the kernel. A
 * PV kernel runs in ring 3, so Xen has a flag for it; otherwise the ring tells (Xen xen/arch/x86/domctl.c).
 */
function gsBases({ flags, user_regs, gs_base_kernel, gs_base_user }: Context): { active: bigint; other: bigint } {
  const isKernel = (flags & VGCF_IN_KERNEL) !== 0n || (user_regs.cs & 3) === 0
  return isKernel ? { active: gs_base_kernel, other: gs_base_user } : { active: gs_base_user, other: gs_base_kernel }
}
