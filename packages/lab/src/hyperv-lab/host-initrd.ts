import { basename } from 'node:path'
import { BUSYBOX } from '../guest-initrd.ts'
import { cachedInitrd } from '../initrd.ts'
import { HYPERV_HOST_INIT } from './host-init.ts'
import type { HypervPackages } from './hyperv-packages.ts'

/** The initial RAM disk of the emulated host: KVM, our init, and where QEMU, its libraries and Node are mounted. */
export function hypervHostInitrd({ modules }: HypervPackages): string {
  const mounted = (path: string) => ({ path, link: `/machine/${path}` })
  return cachedInitrd('hyperv-host', [
    { path: 'init', text: HYPERV_HOST_INIT },
    { path: 'bin/busybox', from: BUSYBOX },
    ...modules.map((from) => ({ path: `lib/modules/${basename(from)}`, from })),
    { path: 'lib64', link: '/machine/usr/lib64' },
    ...['lib/x86_64-linux-gnu', 'share/qemu', 'share/seabios', 'bin/qemu-system-x86_64'].map((path) =>
      mounted(`usr/${path}`),
    ),
    { path: 'usr/local/bin/node', link: '/node/node' },
    { path: 'usr/local/bin/ullage', link: '/ullage/apps/cli/bin/ullage.js' },
    { path: 'etc/passwd', text: 'root:x:0:0:root:/root:/bin/sh\n' },
    { path: 'etc/group', text: 'root:x:0:\n' },
  ])
}
