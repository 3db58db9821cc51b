import { elf_prstatus, QEMUCPUState } from './cpu-notes.ts'
import { NT_PRSTATUS } from './elf-layout.ts'
import { encodeElfNote } from './elf-notes.ts'

/** A segment register as QEMU's note has it: `flags` is the high word of its descriptor. */
export interface CpuSegment {
  readonly selector: number
  readonly limit: number
  readonly flags: number
  readonly base: bigint
}

/** Registers of one vCPU of an x86-64 guest. */
export interface CpuState {
  /** r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi. */
  readonly general: readonly bigint[]
  readonly rip: bigint
  readonly rflags: bigint
  readonly rsp: bigint
  readonly segments: Readonly<
    Record<'cs' | 'ds' | 'es' | 'fs' | 'gs' | 'ss' | 'ldt' | 'tr' | 'gdt' | 'idt', CpuSegment>
  >
  /** cr0 to cr4. */
  readonly cr: readonly bigint[]
  /** The base of gs that swapgs would bring. */
  readonly otherGsBase: bigint
}

/** A segment of which only this is known. */
export function cpuSegment(selector: number, base = 0n): CpuSegment {
  return { selector, limit: 0, flags: 0, base }
}

/**
 * vCPUs as ELF notes, those of each vCPU in the form that readers of vmcores know: CORE NT_PRSTATUS for the registers, QEMU
 * for the control registers.
 */
export function cpuNotes(cpus: readonly CpuState[]): Uint8Array {
  return Buffer.concat(
    cpus.flatMap((cpu, i) => [
      encodeElfNote('CORE', NT_PRSTATUS, prstatus(cpu, i)),
      encodeElfNote('QEMU', 0, qemuState(cpu)),
    ]),
  )
}

/** Like QEMU: the number of the vCPU from 1 as the process id. */
function prstatus(cpu: CpuState, vcpu: number): Uint8Array {
  const { cs, ds, es, fs, gs, ss } = cpu.segments
  return elf_prstatus.toBytes({
    head: new Uint8Array(32),
    pr_pid: vcpu + 1,
    between: new Uint8Array(76),
    general: [...cpu.general],
    orig_rax: 0n,
    rip: cpu.rip,
    cs: BigInt(cs.selector),
    eflags: cpu.rflags,
    rsp: cpu.rsp,
    ss: BigInt(ss.selector),
    fs_base: fs.base,
    gs_base: gs.base,
    ds: BigInt(ds.selector),
    es: BigInt(es.selector),
    fs: BigInt(fs.selector),
    gs: BigInt(gs.selector),
    pr_fpvalid: 0,
  })
}

function qemuState(cpu: CpuState): Uint8Array {
  const pick = (index: number): bigint => cpu.general[index] as bigint
  const { cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt } = cpu.segments
  return QEMUCPUState.toBytes({
    version: 1,
    size: QEMUCPUState.size,
    registers: [
      ...[10, 5, 11, 12, 13, 14].map(pick),
      cpu.rsp,
      ...[4, 9, 8, 7, 6, 3, 2, 1, 0].map(pick),
      cpu.rip,
      cpu.rflags,
    ],
    segments: [cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt].map((one) => ({ ...one, pad: 0 })),
    cr: [...cpu.cr],
    kernel_gs_base: cpu.otherGsBase,
  })
}
