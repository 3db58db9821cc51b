/**
 * Looks at a live domain of this host and prints JSON: extents, states, figures of the hypervisor before and after, and the
 * SHA-256 of each frame whose number is in the file argv[3]. In a Xen control domain: `node dom0-look.ts DOMAIN FRAMES`.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BackingRun } from '@ullage/offline-query'
import { openXen } from '@ullage/xen'

const [, , domain = '', framesFile = ''] = process.argv
const frames: unknown = JSON.parse(readFileSync(framesFile, 'utf8'))
if (!Array.isArray(frames)) throw new Error(`expected numbers in ${framesFile}`)
const stateDir = mkdtempSync(join(tmpdir(), 'ullage-state-'))
await using guest = await openXen({ kind: 'domain', domain }, { baseDir: '/', stateDir })
const before = await guest.hypervisor?.()
const runs: BackingRun[] = []
for (const within of guest.memory.extents) {
  for await (const run of guest.backing.backing({ within })) runs.push(run)
}
const page = new Uint8Array(4096)
const hashes = frames.map((pfn) => {
  guest.memory.read({ start: Number(pfn), count: 1 }, page)
  return createHash('sha256').update(page).digest('hex')
})
const after = await guest.hypervisor?.()
console.log(JSON.stringify({ extents: guest.memory.extents, warnings: guest.warnings, runs, hashes, before, after }))
