import { spawnSync } from 'node:child_process'
import { basename } from 'node:path'
import type { Era } from './era.ts'
import type { InitrdEntry } from './initrd.ts'
import { LabError } from './lab-error.ts'
import { readerCommand } from './readers.ts'

/** Where the guest finds its own kernel, for `kexec -l` and `kexec -p`. */
export const KEXEC_KERNEL = '/lab/vmlinuz'

/** What a guest needs to load a kernel: `kexec` of set-up's, the libraries it names, and the guest's own kernel. */
export function kexecEntries(era: Era): InitrdEntry[] {
  const argv = readerCommand('kexec')
  const [loader, program] = [argv.at(0), argv.at(-1)] as [string, string]
  const listed = spawnSync(loader, [...argv.slice(1, -1), '--list', program], { encoding: 'utf8' })
  if (listed.status !== 0) throw new LabError(`${program} does not start here: ${listed.stderr}; run npm run setup`)
  const libraries = [...listed.stdout.matchAll(/=> (\/\S+\.so\S*) \(0x/g)].map(([, path]) => path as string)
  return [
    { path: 'sbin/kexec', from: program },
    { path: 'lib64/ld-linux-x86-64.so.2', from: loader },
    ...libraries
      .filter((path) => basename(path) !== basename(loader))
      .map((from) => ({ path: `lib/x86_64-linux-gnu/${basename(from)}`, from })),
    { path: KEXEC_KERNEL.slice(1), from: era.vmlinuz },
  ]
}
