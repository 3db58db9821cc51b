import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { BUSYBOX } from '../guest-initrd.ts'
import { cachedInitrd, type InitrdEntry } from '../initrd.ts'
import { DOM0_INIT } from './dom0-init.ts'
import type { XenPackages } from './xen-packages.ts'

/** Where Debian's libxl looks for the program that saves guests: /usr/lib/xen-VERSION/bin. */
const LIBEXEC = /\/(usr\/lib\/xen-[\d.]+\/bin)\//

/** The initial RAM disk of Xen's first domain: Xen's tools and libraries, libc, what Node needs, our init. */
export function dom0Initrd(packages: XenPackages): string {
  const libraries = packages.libraries.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /\.so(\.|$)/.test(name))
      .map((name) => ({ path: `usr/lib/x86_64-linux-gnu/${name}`, from: join(folder, name) })),
  )
  const modules = packages.modules.map((from) => ({ path: `lib/modules/${basename(from)}`, from }))
  return cachedInitrd('xen-host', [
    { path: 'init', text: DOM0_INIT },
    { path: 'bin/busybox', from: BUSYBOX },
    { path: 'lib64/ld-linux-x86-64.so.2', from: packages.loader },
    ...libraries,
    ...packages.programs.map(program),
    ...['read', 'write', 'ls'].map((verb) => ({ path: `usr/bin/xenstore-${verb}`, link: 'xenstore' })),
    ...modules,
    { path: 'usr/local/bin/node', link: '../node/node' },
    { path: 'usr/local/bin/ullage', link: '/ullage/apps/cli/bin/ullage.js' },
    { path: 'etc/passwd', text: 'root:x:0:0:root:/root:/bin/sh\n' },
    { path: 'etc/group', text: 'root:x:0:\n' },
    // The first domain keeps the memory that the command line of Xen gives it.
    { path: 'etc/xen/xl.conf', text: 'autoballoon="off"\n' },
  ])
}

function program(from: string): InitrdEntry {
  const libexec = basename(from) === 'libxl-save-helper' ? LIBEXEC.exec(from)?.[1] : undefined
  return { path: `${libexec ?? 'usr/bin'}/${basename(from)}`, from }
}
