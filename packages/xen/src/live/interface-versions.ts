import { OfflineError } from '@ullage/offline-query'

/**
 * Xen's version → version of its domctl interface, for those whose structures were compared (XEN_DOMCTL_INTERFACE_VERSION in
 * Xen xen/include/public/domctl.h, of each stable branch): all that is used of it is the same in them. The hypervisor
 * refuses any number but its own.
 */
const interfaceVersions: Readonly<Record<string, number>> = {
  '4.15': 0x13,
  '4.16': 0x14,
  '4.17': 0x15,
  '4.18': 0x16,
  '4.19': 0x17,
  '4.20': 0x17,
  '4.21': 0x17,
  '4.22': 0x18,
}

/** The version of domctl that a hypervisor of `version` (major.minor) has. Throws OfflineError UNSUPPORTED. */
export function domctlVersion(version: string): number {
  const found = Object.hasOwn(interfaceVersions, version) ? interfaceVersions[version] : undefined
  if (found !== undefined) return found
  throw new OfflineError(
    'UNSUPPORTED',
    `expected a xen of version ${Object.keys(interfaceVersions).join(', ')}, found ${version}, whose interface is not known; dump the domain with xl dump-core and open the core`,
  )
}
