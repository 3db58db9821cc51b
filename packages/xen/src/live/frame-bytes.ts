import { OfflineError } from '@ullage/offline-query'
import { PAGE_BYTES } from '../core-layout.ts'
import type { Hypervisor } from './hypervisor.ts'

/** Content of one frame by the hypervisor's number. Throws OfflineError CORRUPT, naming `what`, when it is not the domain's. */
export function frameBytes(hypervisor: Hypervisor, domid: number, frame: number, what: string): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES)
  const error = hypervisor.map(domid, [frame], (bytes, errors) => {
    if (errors[0] === 0) bytes.read(0, page)
    return errors[0] as number
  })
  if (error === 0) return page
  throw new OfflineError(
    'CORRUPT',
    `expected ${what} in machine frame 0x${frame.toString(16)}, found that xen does not map it for domain ${domid} (error ${Math.abs(error)}): it is not the domain's`,
  )
}
