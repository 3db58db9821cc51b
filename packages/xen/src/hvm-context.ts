import type { CpuSegment, CpuState } from '@ullage/layout'
import { badSave } from './bad-save.ts'
import {
  HVM_FILE_MAGIC,
  HVM_SAVE_CPU,
  HVM_SAVE_END,
  HVM_SAVE_HEADER,
  HvmCpu,
  HvmSaveDescriptor,
} from './save-layout.ts'
import type { SaveReader, SaveRecord } from './save-reader.ts'

/** More than Xen gives any guest. */
const MAX_VCPUS = 8192

/**
 * The vCPUs in an HVM context, by their number: those that are off have none. Throws OfflineError CORRUPT when its parts do
 * not fit into it.
 */
export function readHvmContext(reader: SaveReader, record: SaveRecord): Map<number, CpuState> {
  const cpus = new Map<number, CpuState>()
  const end = record.startBytes + record.sizeBytes
  for (let isFirst = true; ; isFirst = false) {
    const where = `the HVM context at byte ${reader.position}`
    if (reader.position + HvmSaveDescriptor.size > end) {
      throw badSave(reader.path, `${where} should go on or end with a part of type 0, its record ends at byte ${end}`)
    }
    const part = reader.read(HvmSaveDescriptor, where)
    if (part.length > end - reader.position) {
      throw badSave(
        reader.path,
        `${where} has a part of ${part.length} bytes, its record has ${end - reader.position} left`,
      )
    }
    if (isFirst) checkFirst(reader, part, where)
    if (part.typecode === HVM_SAVE_END) return cpus
    const next = reader.position + part.length
    if (part.typecode === HVM_SAVE_CPU) {
      if (part.length < HvmCpu.size || part.instance >= MAX_VCPUS) {
        throw badSave(
          reader.path,
          `${where} should have ${HvmCpu.size} bytes or more of registers for one of ${MAX_VCPUS} vCPUs, it has ${part.length} for vCPU ${part.instance}`,
        )
      }
      cpus.set(part.instance, cpuState(reader.read(HvmCpu, where)))
    }
    reader.skip(next - reader.position, where)
  }
}

function checkFirst(reader: SaveReader, part: { typecode: number; length: number }, where: string): void {
  if (part.typecode !== HVM_SAVE_HEADER || part.length < 4) {
    throw badSave(reader.path, `${where} should begin with a header, it begins with a part of type ${part.typecode}`)
  }
  const magic = reader.peek(4, where).getUint32(0, true)
  if (magic === HVM_FILE_MAGIC) return
  throw badSave(
    reader.path,
    `${where} should have the mark 0x${HVM_FILE_MAGIC.toString(16)}, it has 0x${magic.toString(16)}`,
  )
}

function cpuState(cpu: ReturnType<typeof HvmCpu.read>): CpuState {
  const { general, selectors, limits, bases, arbytes } = cpu
  const segment = (index: number): CpuSegment => ({
    selector: selectors[index] as number,
    limit: limits[index] as number,
    flags: descriptorFlags(arbytes[index] as number),
    base: bases[index] as bigint,
  })
  const table = (index: number): CpuSegment => ({
    selector: 0,
    limit: limits[index] as number,
    flags: 0,
    base: bases[index] as bigint,
  })
  // From rax rbx rcx rdx rbp rsi rdi rsp r8 … r15.
  const inElfOrder = [15, 14, 13, 12, 4, 1, 11, 10, 9, 8, 0, 2, 3, 5, 6].map((index) => general[index] as bigint)
  return {
    general: inElfOrder,
    rip: cpu.rip,
    rflags: cpu.rflags,
    rsp: general[7] as bigint,
    segments: {
      cs: segment(0),
      ds: segment(1),
      es: segment(2),
      fs: segment(3),
      gs: segment(4),
      ss: segment(5),
      tr: segment(6),
      ldt: segment(7),
      idt: table(8),
      gdt: table(9),
    },
    cr: [cpu.cr0, 0n, cpu.cr2, cpu.cr3, cpu.cr4],
    otherGsBase: cpu.shadow_gs,
  }
}

/** From Xen's twelve bits to where they stand in the high word of a descriptor (Intel SDM vol. 3, 3.4.5). */
function descriptorFlags(arbytes: number): number {
  return ((arbytes & 0xff) << 8) | ((arbytes & 0xf00) << 12)
}
