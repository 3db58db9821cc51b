import { spawnSync } from 'node:child_process'
import type { Era } from './era.ts'
import type { InitrdEntry } from './initrd.ts'
import { LabError } from './lab-error.ts'

const KEXEC = '/sbin/kexec'

/** Where the guest finds its own kernel, for `kexec -l` and `kexec -p`. */
export const KEXEC_KERNEL = '/lab/vmlinuz'

/** What a guest needs to load a kernel: this machine's `kexec`, the libraries it names, and the guest's own kernel. */
export function kexecEntries(era: Era): InitrdEntry[] {
  const ldd = spawnSync('ldd', [KEXEC], { encoding: 'utf8' })
  if (ldd.status !== 0) throw new LabError(`no ${KEXEC}: is kexec-tools installed? run npm run setup`)
  const libraries = [...ldd.stdout.matchAll(/(\/\S+\.so\S*) \(0x/g)].map(([, path]) => path as string)
  const files = [KEXEC, ...libraries].map((from) => ({ path: from.slice(1), from }))
  return [...files, { path: KEXEC_KERNEL.slice(1), from: era.vmlinuz }]
}
