import type { AnyBackend } from './backend.ts'

/** Every backend by its name in a descriptor, loaded when it is asked for. A new one is a package and a line here. */
export const backends: Readonly<Record<string, () => Promise<AnyBackend>>> = {
  'virtio-balloon': async () => (await import('./virtio-balloon-source.ts')).virtioBalloon,
  xen: async () => (await import('./xen-source.ts')).xen,
  hyperv: async () => (await import('./hyperv-source.ts')).hyperv,
}
