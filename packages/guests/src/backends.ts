import type { AnyBackend } from './backend.ts'
import { hyperv } from './hyperv-source.ts'
import { virtioBalloon } from './virtio-balloon-source.ts'
import { xen } from './xen-source.ts'

/** Every backend by its name in a descriptor. A new one is a package and a line here. */
export const backends: Readonly<Record<string, AnyBackend>> = {
  'virtio-balloon': virtioBalloon,
  xen,
  hyperv,
}
