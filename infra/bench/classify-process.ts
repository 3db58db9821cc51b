// One guest, classified in a process of its own: DESCRIPTOR, and a JSON list of where each section's struct pages begin.
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { pagesOf } from '@ullage/dump'
import { loadDescriptor, openGuest } from '@ullage/guests'

/** Struct pages of a section of 128 MiB, in frames. */
const READ_FRAMES = 512

const [descriptor = '', structPages = ''] = process.argv.slice(2)
await using guest = await openGuest(await loadDescriptor(descriptor), { stateDir: dirname(descriptor) })
const classified = process.cpuUsage()
const started = performance.now()
const { frames, guest: about } = await pagesOf(guest, { pause: false })
const classifyMs = performance.now() - started
const { user, system } = process.cpuUsage(classified)
if (about.vmcoreinfo !== 'note' || frames.byClass.unknown.backed + frames.byClass.unknown.unbacked > 0) {
  throw new Error(`the guest's word on its frames is missing: ${JSON.stringify(frames.byClass)}`)
}
const peakBytes = peak()
const into = new Uint8Array(READ_FRAMES * guest.memory.frameBytes)
const reading = performance.now()
for (const start of JSON.parse(structPages) as number[]) guest.memory.read({ start, count: READ_FRAMES }, into)
const readMs = performance.now() - reading
process.stdout.write(JSON.stringify({ classifyMs, readMs, cpuMs: (user + system) / 1000, peakBytes }))

function peak(): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
  if (kibibytes === undefined) throw new Error('/proc/self/status has no VmHWM line')
  return Number(kibibytes) * 1024
}
