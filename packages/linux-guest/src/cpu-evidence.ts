import type { ElfNote } from '@ullage/layout'
import { arm64Cpus } from './arm64-cpus.ts'
import { type CpuPageTable, cpuPageTables, isRunBy } from './cpu-page-tables.ts'
import type { GuestFrames } from './guest-frames.ts'
import type { Kernel } from './kernel.ts'

/**
 * - `runs`: a vCPU runs this kernel.
 * - `possible`: nothing speaks against it: vCPUs run processes, and no note says whose.
 * - `no`: no vCPU runs it.
 */
export type Liveness = 'runs' | 'possible' | 'no'

/** What the notes of vCPUs say of which kernel runs. */
export interface CpuEvidence {
  /** vCPUs whose state the notes hold. */
  readonly cpus: number
  /** Root tables they have loaded, each once. Only the notes of x86-64 guests hold them. */
  readonly roots: readonly CpuPageTable[]
  /** Whether any kernel at all can be one that they run. */
  readonly canBeRun: boolean
  /** Why none of them runs a kernel, as the end of a sentence. */
  readonly denial: string
  livenessOf(kernel: Kernel): Liveness
}

/** Reads the notes of the guest's vCPUs. */
export function cpuEvidence({ view }: GuestFrames, notes: readonly ElfNote[]): CpuEvidence {
  if (view.machine === 'aarch64') return arm64Cpus(notes)
  const { cpus, roots } = cpuPageTables(notes)
  return {
    cpus,
    roots,
    canBeRun: roots.length > 0,
    denial: `none of the ${roots.length} page tables they have loaded are its`,
    livenessOf: (kernel) => (isRunBy(kernel, kernel.memory.frames, roots) ? 'runs' : 'no'),
  }
}
