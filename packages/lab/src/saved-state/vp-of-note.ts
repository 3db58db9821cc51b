import type { MadeVp } from './partition-state.ts'

const REGISTERS = 8
const SEGMENTS = REGISTERS + 18 * 8
const CONTROL = SEGMENTS + 10 * 24
const KERNEL_GS_BASE = CONTROL + 5 * 8
/** cs ds es fs gs ss ldt tr gdt idt, as QEMU has them (QEMU target/i386/arch_dump.c). */
const [CS, DS, ES, FS, GS, SS, LDT, TR, GDT, IDT] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const

/** The vCPU of a note of QEMU's, as a saved state would have it. */
export function vpOfNote(desc: Uint8Array, index: number): MadeVp {
  const view = new DataView(desc.buffer, desc.byteOffset, desc.byteLength)
  const register = (at: number): bigint => view.getBigUint64(REGISTERS + at * 8, true)
  const control = (at: number): bigint => view.getBigUint64(CONTROL + at * 8, true)
  const limit = (at: number): number => view.getUint32(SEGMENTS + at * 24 + 4, true)
  const base = (at: number): bigint => view.getBigUint64(SEGMENTS + at * 24 + 16, true)
  const segment = (at: number): [bigint, number, number, number] => {
    // Bits 16 to 19 of QEMU's flags are the limit's; Hyper-V keeps them zero.
    const attributes = (view.getUint32(SEGMENTS + at * 24 + 8, true) >>> 8) & 0xf0ff
    return [base(at), limit(at), view.getUint32(SEGMENTS + at * 24, true), attributes]
  }
  // QEMU: rax rbx rcx rdx rsi rdi rsp rbp. Hyper-V: rax rcx rdx rbx rsp rbp rsi rdi.
  return {
    index,
    general: [0, 2, 3, 1, 6, 7, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17].map(register),
    control: [control(0), control(2), control(3), control(4), 0n, 0xd01n],
    segments: [ES, CS, SS, DS, FS, GS, LDT, TR].map(segment),
    gdtr: [limit(GDT) & 0xffff, base(GDT)],
    idtr: [limit(IDT) & 0xffff, base(IDT)],
    kernelGsBase: view.getBigUint64(KERNEL_GS_BASE, true),
  }
}
