import { array, bytes, i32, u32, u64 } from './field-type.ts'
import { struct } from './struct.ts'

/** x86-64 description of NT_PRSTATUS (Linux include/linux/elfcore.h, arch/x86/include/asm/user_64.h). */
export const elf_prstatus = struct('elf_prstatus', 336, {
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

/** arm64 description of NT_PRSTATUS (Linux include/linux/elfcore.h, arch/arm64/include/asm/elf.h ELF_NGREG). */
export const arm64_prstatus = struct('arm64_prstatus', 392, {
  head: bytes(32),
  pr_pid: i32,
  between: bytes(76),
  /** x0 to x30. */
  x: array(u64, 31),
  sp: u64,
  pc: u64,
  pstate: u64,
  pr_fpvalid: u32,
})

const QEMUCPUSegment = struct('QEMUCPUSegment', 24, { selector: u32, limit: u32, flags: u32, pad: u32, base: u64 })

/** Description of the note `QEMU` of each vCPU of an x86 guest, version 1 (QEMU target/i386/arch_dump.c). */
export const QEMUCPUState = struct('QEMUCPUState', 440, {
  version: u32,
  size: u32,
  /** rax rbx rcx rdx rsi rdi rsp rbp r8 … r15 rip rflags. */
  registers: array(u64, 18),
  /** cs ds es fs gs ss ldt tr gdt idt. */
  segments: array(QEMUCPUSegment, 10),
  cr: array(u64, 5),
  kernel_gs_base: u64,
})
