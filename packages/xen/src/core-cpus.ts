import type { CpuState } from '@ullage/layout'
import { VcpuGuestContext } from './core-layout.ts'
import { type CoreSection, corrupt } from './core-sections.ts'
import { type GuestFile, readBytes } from './guest-file.ts'
import { contextState } from './vcpu-context.ts'

/** The vCPUs of `.xen_prstatus`. Throws OfflineError CORRUPT when the section does not hold one context for each. */
export function readCoreCpus(file: GuestFile, section: CoreSection, vcpus: number): CpuState[] {
  const { size } = VcpuGuestContext
  if (section.sizeBytes !== vcpus * size) {
    throw corrupt(
      file,
      `${section.name} should hold ${vcpus} contexts of ${size} bytes, of x86_64 vCPUs, it has ${section.sizeBytes} bytes`,
    )
  }
  return Array.from({ length: vcpus }, (_, i) => {
    const at = section.offsetBytes + i * size
    return contextState(VcpuGuestContext.read(readBytes(file, at, size, `the context of vCPU ${i}`)))
  })
}
