import { array, bytes, encodeElfNote, i32, NT_PRSTATUS, struct, u32, u64 } from '@ullage/layout'
import { type GuestFile, readBytes } from './guest-file.ts'
import { VcpuGuestContext, VGCF_IN_KERNEL } from './core-layout.ts'
import { type CoreSection, corrupt } from './core-sections.ts'

/** x86-64 `struct elf_prstatus` (Linux include/linux/elfcore.h, arch/x86/include/asm/user_64.h). */
const ElfPrstatus = struct('elf_prstatus', 336, {
  head: bytes(32),
  pr_pid: i32,
  between: bytes(76),
  /** r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi. */
  general: array(u64, 15),
  orig_rax: u64,
  rip: u64,
  cs: u64,
  eflags: u64,
  rsp: u64,
  ss: u64,
  fs_base: u64,
  gs_base: u64,
  ds: u64,
  es: u64,
  fs: u64,
  gs: u64,
  pr_fpvalid: u32,
})

/** One segment in QEMU's note. */
const QEMUCPUSegment = struct('QEMUCPUSegment', 24, { selector: u32, limit: u32, flags: u32, pad: u32, base: u64 })

/** The note in which control registers of an x86 guest are found, version 1 (QEMU target/i386/arch_dump.c). */
const QEMUCPUState = struct('QEMUCPUState', 440, {
  version: u32,
  size: u32,
  /** rax rbx rcx rdx rsi rdi rsp rbp r8 … r15 rip rflags. */
  registers: array(u64, 18),
  /** cs ds es fs gs ss ldt tr gdt idt. */
  segments: array(QEMUCPUSegment, 10),
  cr: array(u64, 5),
  kernel_gs_base: u64,
})

type Context = ReturnType<typeof VcpuGuestContext.read>

/**
 * The vCPU contexts of `.xen_prstatus` as ELF notes, those of each vCPU in the form that readers of vmcores know: CORE
 * NT_PRSTATUS for the registers, QEMU for the control registers. CR3 of a PV guest is a machine address, as it was
 * loaded. Throws OfflineError: CORRUPT when the section does not hold one context for each vCPU.
 */
export function cpuNotes(file: GuestFile, section: CoreSection, vcpus: number): Uint8Array {
  const { size } = VcpuGuestContext
  if (section.sizeBytes !== vcpus * size) {
    throw corrupt(
      file,
      `${section.name} should hold ${vcpus} contexts of ${size} bytes, of x86_64 vCPUs, it has ${section.sizeBytes} bytes`,
    )
  }
  const notes: Uint8Array[] = []
  for (let i = 0; i < vcpus; i++) {
    const at = section.offsetBytes + i * size
    const context = VcpuGuestContext.read(readBytes(file, at, size, `the context of vCPU ${i}`))
    notes.push(encodeElfNote('CORE', NT_PRSTATUS, prstatus(context, i)), encodeElfNote('QEMU', 0, cpuState(context)))
  }
  return Buffer.concat(notes)
}

/** Like QEMU: the number of the vCPU from 1 as the process id. */
function prstatus(context: Context, vcpu: number): Uint8Array {
  const { user_regs } = context
  return ElfPrstatus.toBytes({
    head: new Uint8Array(32),
    pr_pid: vcpu + 1,
    between: new Uint8Array(76),
    general: user_regs.general,
    orig_rax: 0n,
    rip: user_regs.rip,
    cs: BigInt(user_regs.cs),
    eflags: user_regs.rflags,
    rsp: user_regs.rsp,
    ss: BigInt(user_regs.ss),
    fs_base: context.fs_base,
    gs_base: gsBases(context).active,
    ds: BigInt(user_regs.ds),
    es: BigInt(user_regs.es),
    fs: BigInt(user_regs.fs),
    gs: BigInt(user_regs.gs),
    pr_fpvalid: 0,
  })
}

function cpuState(context: Context): Uint8Array {
  const { user_regs, ctrlreg } = context
  const { active, other } = gsBases(context)
  const general = user_regs.general
  const pick = (index: number): bigint => general[index] as bigint
  const segment = (selector: number, base = 0n) => ({ selector, limit: 0, flags: 0, pad: 0, base })
  return QEMUCPUState.toBytes({
    version: 1,
    size: QEMUCPUState.size,
    registers: [
      ...[10, 5, 11, 12, 13, 14].map(pick),
      user_regs.rsp,
      ...[4, 9, 8, 7, 6, 3, 2, 1, 0].map(pick),
      user_regs.rip,
      user_regs.rflags,
    ],
    segments: [
      segment(user_regs.cs),
      segment(user_regs.ds),
      segment(user_regs.es),
      segment(user_regs.fs, context.fs_base),
      segment(user_regs.gs, active),
      segment(user_regs.ss),
      segment(0, context.ldt_base),
      segment(0),
      segment(0),
      segment(0),
    ],
    cr: ctrlreg.slice(0, 5),
    kernel_gs_base: other,
  })
}

/**
 * The base of gs that was in force, and the one that swapgs would bring: the kernel's where the vCPU was in the kernel. A
 * PV kernel runs in ring 3, so Xen has a flag for it; otherwise the ring tells (Xen xen/arch/x86/domctl.c).
 */
function gsBases({ flags, user_regs, gs_base_kernel, gs_base_user }: Context): { active: bigint; other: bigint } {
  const isKernel = (flags & VGCF_IN_KERNEL) !== 0n || (user_regs.cs & 3) === 0
  return isKernel ? { active: gs_base_kernel, other: gs_base_user } : { active: gs_base_user, other: gs_base_kernel }
}
