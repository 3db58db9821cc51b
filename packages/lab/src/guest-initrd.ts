import { basename } from 'node:path'
import type { Era } from './era.ts'
import { type AgentLine, guestInit } from './guest-init.ts'
import { cachedInitrd } from './initrd.ts'

/** A static busybox: it needs nothing of the machine it is copied to. */
export const BUSYBOX = '/bin/busybox'

/** The initial RAM disk of an era's guests, whose init takes commands from `line`: busybox, the modules, our init. */
export function guestInitrd(era: Era, line: AgentLine = '/dev/ttyS1'): string {
  const modules = era.modules.map((from, index) => ({
    path: `lib/modules/${String(index).padStart(2, '0')}-${basename(from)}`,
    from,
  }))
  return cachedInitrd(`${era.name}${line === '/dev/ttyS1' ? '' : '-xen'}`, [
    { path: 'init', text: guestInit(line) },
    { path: 'bin/busybox', from: BUSYBOX },
    ...modules,
  ])
}
