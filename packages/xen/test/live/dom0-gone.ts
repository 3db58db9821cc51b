/**
 * Opens and pauses a domain of this host, has it destroyed, and prints as JSON what each call on it throws. In a Xen control
 * domain: `node dom0-gone.ts DOMAIN`.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openXen } from '@ullage/xen'

const [, , domain = ''] = process.argv
const stateDir = mkdtempSync(join(tmpdir(), 'ullage-state-'))
await using guest = await openXen({ kind: 'domain', domain, allow: ['populateOnDemand'] }, { baseDir: '/', stateDir })
const lease = await guest.pause()
execFileSync('xl', ['destroy', domain])
const calls: Record<string, () => unknown> = {
  read: async () => guest.memory.read({ start: 0, count: 4 }, new Uint8Array(4 * 4096)),
  backing: async () => {
    for await (const run of guest.backing.backing({ within: { start: 0, count: 4096 } })) return run
  },
  notes: () => guest.notes(),
  hypervisor: () => guest.hypervisor?.(),
  resume: () => lease.resume(),
}
const thrown: Record<string, string> = {}
for (const [name, call] of Object.entries(calls)) {
  try {
    await call()
    thrown[name] = 'nothing'
  } catch (error) {
    thrown[name] = error instanceof Error && 'code' in error ? `${error.code}: ${error.message}` : String(error)
  }
}
console.log(JSON.stringify(thrown))
