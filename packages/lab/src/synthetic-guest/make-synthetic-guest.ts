import type { PfnRange } from '@ullage/pages'
import { syntheticX86 } from './synthetic-architecture.ts'
import { SyntheticGuest } from './synthetic-guest.ts'
import { SyntheticKernel, type SyntheticKernelOptions } from './synthetic-kernel.ts'

export interface SyntheticGuestOptions extends SyntheticKernelOptions {
  /** Guest RAM, in frames; two sections from where the architecture's RAM begins when left out. */
  readonly extents?: readonly PfnRange[]
}

/** A guest with one kernel in it. */
export function makeSyntheticGuest(options: SyntheticGuestOptions = {}): {
  guest: SyntheticGuest
  kernel: SyntheticKernel
} {
  const architecture = options.architecture ?? syntheticX86()
  const { frameBytes, machine, ramBytes, sectionSizeBits } = architecture
  const extents = options.extents ?? [{ start: ramBytes / frameBytes, count: (2 * 2 ** sectionSizeBits) / frameBytes }]
  const guest = new SyntheticGuest({ extents, frameBytes, machine })
  return { guest, kernel: new SyntheticKernel(guest, options) }
}
