import { arm64_prstatus, type ElfNote, NT_PRSTATUS } from '@ullage/layout'
import type { CpuEvidence, Liveness } from './cpu-evidence.ts'
import type { Kernel } from './kernel.ts'

const MAX_CPUS = 1024
/** PSTATE.M: the exception level, and whether the state is that of 32-bit code (Arm DDI 0487, C5.2). */
const EXCEPTION_LEVEL = 0xcn
const AARCH32 = 0x10n
/** Which half of the address space an address is of, whatever its top byte holds. */
const UPPER_HALF = 1n << 55n

interface Arm64Cpu {
  readonly isUser: boolean
  readonly pc: bigint
  readonly sp: bigint
  /** Where the current function returns to. */
  readonly lr: bigint
}

/**
 * Notes of arm64 vCPUs (QEMU target/arm/arch_dump.c) hold no system registers, so not where their page tables are. But one
 * that is in a kernel executes it; and one that runs a process has a kernel, though its registers do not say which.
 */
export function arm64Cpus(notes: readonly ElfNote[]): CpuEvidence {
  const cpus = notes
    .filter(({ name, type }) => name === 'CORE' && type === NT_PRSTATUS)
    .slice(0, MAX_CPUS)
    .flatMap(({ desc }) => (desc.length < arm64_prstatus.size ? [] : [cpuOf(desc)]))
  const inKernel = cpus.filter(({ isUser, pc }) => !isUser && (pc & UPPER_HALF) !== 0n)
  const users = cpus.filter(({ isUser }) => isUser).length
  return {
    cpus: cpus.length,
    roots: [],
    canBeRun: inKernel.length + users > 0,
    denial: `none of them executes it (${inKernel.length} are in a kernel, ${users} in a process)`,
    livenessOf: (kernel): Liveness => {
      if (inKernel.some((cpu) => executes(cpu, kernel))) return 'runs'
      return inKernel.length === 0 && users > 0 ? 'possible' : 'no'
    },
  }
}

function cpuOf(desc: Uint8Array): Arm64Cpu {
  const { x, sp, pc, pstate } = arm64_prstatus.read(desc)
  return { isUser: (pstate & AARCH32) !== 0n || (pstate & EXCEPTION_LEVEL) === 0n, pc, sp, lr: x[30] as bigint }
}

/** In the image, or called from there, or in code elsewhere that its tables map as they do the stack. */
function executes({ pc, sp, lr }: Arm64Cpu, kernel: Kernel): boolean {
  if (isInImage(pc, kernel) || isInImage(lr, kernel)) return true
  return kernel.memory.toPfn(pc) !== undefined && kernel.memory.toPfn(sp) !== undefined
}

function isInImage(address: bigint, { architecture, memory, text, textPfn }: Kernel): boolean {
  if ((address & UPPER_HALF) === 0n) return false
  const root = architecture.paging.levels[0]
  const addressMask = (1n << BigInt(root ? root.shift + root.indexBits : 0)) - 1n
  // Above the address there may be a signature (pointer authentication).
  const plain = BigInt.asUintN(64, ~addressMask | (address & addressMask))
  const { start, end } = architecture.image
  if (plain < start || plain >= end) return false
  const shift = BigInt(memory.frames.frameShift)
  return memory.toPfn(plain) === textPfn + Number((plain >> shift) - (text >> shift))
}
