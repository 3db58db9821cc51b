import { basename } from 'node:path'
import type { Era } from './era.ts'
import { type AgentLine, guestInit } from './guest-init.ts'
import { cachedInitrd } from './initrd.ts'
import { kexecEntries } from './kexec-tools.ts'

/** A static busybox: it needs nothing of the machine it is copied to. */
export const BUSYBOX = '/bin/busybox'

/**
 * The initial RAM disk of an era's guests, whose init takes commands from `line`: busybox, the modules, our init. With
 * `kexec` also what loads the guest's own kernel once more.
 */
export function guestInitrd(
  era: Era,
  line: AgentLine = era.machine === 'aarch64' ? '/dev/ttyS0' : '/dev/ttyS1',
  kexec = false,
): string {
  const modules = era.modules.map((from, index) => ({
    path: `lib/modules/${String(index).padStart(2, '0')}-${basename(from)}`,
    from,
  }))
  return cachedInitrd(`${era.name}${line === '/dev/hvc0' ? '-xen' : ''}${kexec ? '-kexec' : ''}`, [
    { path: 'init', text: guestInit(line) },
    { path: 'bin/busybox', from: era.busybox ?? BUSYBOX },
    ...modules,
    ...(kexec ? kexecEntries(era) : []),
  ])
}
