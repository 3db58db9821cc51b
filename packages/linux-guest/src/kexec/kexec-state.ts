import type { PfnRange } from '@ullage/pages'
import type { Kernel } from '../kernel.ts'
import type { KernelMemory } from '../kernel-memory.ts'
import { Refusal } from '../refusal.ts'
import { findSymbols } from './kallsyms.ts'
import { type KexecImage, readKexecImage } from './kexec-image.ts'
import { kexecLayout, type ResourceLayout, resourceLayout } from './kexec-layout.ts'
import { readKernelTypes } from './kernel-types.ts'

/** What the guest has loaded, to jump into instead of a reboot through its firmware. */
export interface KexecState {
  readonly images: readonly KexecImage[]
  /** The crashkernel= area, reserved at boot, in frames of the guest's pages. Empty where none was asked for. */
  readonly crashkernel: readonly PfnRange[]
}

const AREAS = ['crashk_res', 'crashk_low_res'] as const

/**
 * Reads what is loaded, by the kernel's own symbols (kallsyms, found by VMCOREINFO) and its own types (BTF): no version
 * decides. Throws Refusal when either is missing or wrong.
 */
export function readKexecState(kernel: Kernel): KexecState {
  const { memory, info } = kernel
  const wanted = ['kexec_image', 'kexec_crash_image', '__start_BTF', '__stop_BTF', ...AREAS]
  const symbols = findSymbols(memory, info, wanted)
  const pointers = (['kexec_image', 'kexec_crash_image'] as const).flatMap((name) => {
    const at = symbols.get(name)
    return at === undefined ? [] : [{ name, at }]
  })
  // Without CONFIG_KEXEC_CORE there is nothing that could be loaded.
  if (pointers.length === 0) return { images: [], crashkernel: [] }
  const [start, stop] = [symbols.get('__start_BTF'), symbols.get('__stop_BTF')]
  if (start === undefined || stop === undefined) {
    throw new Refusal('it carries no types of its own: expected a kernel with CONFIG_DEBUG_INFO_BTF')
  }
  const types = readKernelTypes(memory, start, stop)
  const layout = kexecLayout(types)
  const resource = resourceLayout(types)
  const images = pointers.flatMap(({ name, at }) => {
    const address = memory.readU64(at)
    if (address === undefined) throw new Refusal(`its ${name} at 0x${at.toString(16)} is not in readable guest RAM`)
    const kind = name === 'kexec_image' ? ('kexec' as const) : ('crash' as const)
    return address === 0n ? [] : [readKexecImage(kernel, address, { kind, layout })]
  })
  const crashkernel = AREAS.flatMap((name) => readArea(memory, symbols.get(name), resource))
  return { images, crashkernel }
}

/** A resource that was never reserved has both ends at 0. */
function readArea(memory: KernelMemory, at: bigint | undefined, layout: ResourceLayout): PfnRange[] {
  if (at === undefined) return []
  const start = memory.readU64(at + BigInt(layout.start))
  const last = memory.readU64(at + BigInt(layout.end))
  if (start === undefined || last === undefined || last <= start || last >= 1n << 52n) return []
  const { frameBytes } = memory.frames
  const first = Math.floor(Number(start) / frameBytes)
  return [{ start: first, count: Math.floor((Number(last) + 1) / frameBytes) - first }]
}
