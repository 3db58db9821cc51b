import { type CpuState, cpuNotes } from '@ullage/layout'
import { type GuestNotes, OfflineError } from '@ullage/offline-query'
import { VcpuGuestContext } from '../core-layout.ts'
import { contextState } from '../vcpu-context.ts'
import type { DomainInfo, Hypervisor } from './hypervisor.ts'

/** More than Xen gives any guest. */
const MAX_VCPUS = 8192

/** Registers of every vCPU that was ever started, as ELF notes. Throws OfflineError. */
export function domainNotes(hypervisor: Hypervisor, { domid, maxVcpu }: DomainInfo): GuestNotes {
  if (maxVcpu >= MAX_VCPUS) {
    throw new OfflineError('CORRUPT', `expected ${MAX_VCPUS} vCPUs at most in domain ${domid}, found ${maxVcpu + 1}`)
  }
  const states: CpuState[] = []
  for (let vcpu = 0; vcpu <= maxVcpu; vcpu++) {
    const context = hypervisor.vcpuContext(domid, vcpu)
    if (context) states.push(contextState(VcpuGuestContext.read(context)))
  }
  return { elfNotes: cpuNotes(states), cpus: states.length }
}
