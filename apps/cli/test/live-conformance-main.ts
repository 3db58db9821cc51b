// Runs the conformance suite on a stopped, live guest with RAM in files, on the host where it is: `node live-conformance-main.ts
// DESCRIPTOR STATE_DIR PLACED…`, each PLACED `GPA:FILE`. One frame of a file of 4096 bytes stands above what the others hold
// there. Prints, as JSON, the name of each test and what it threw.
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { loadDescriptor, openGuest } from '@ullage/guests'
import { dataRanges } from '@ullage/native'
import type { BackingRun } from '@ullage/offline-query'
import { type GuestTruth, offlineQueryConformance } from '@ullage/offline-query/conformance'
import { PfnSet } from '@ullage/pages'

const FRAME_BYTES = 4096

interface Placed {
  readonly start: number
  readonly count: number
  readonly fd: number
}

const [descriptor = '', stateDir = '', ...parts] = process.argv.slice(2)
const placed = parts.map((part): Placed => {
  const [gpa, file = ''] = part.split(':')
  const fd = openSync(file, 'r')
  return { start: Number(gpa) / FRAME_BYTES, count: fstatSync(fd).size / FRAME_BYTES, fd }
})

const results: { name: string; thrown: string | undefined }[] = []
const tests: { name: string; body: () => Promise<void> }[] = []
offlineQueryConformance(
  { describe: (_, body) => body(), it: (name, body) => tests.push({ name, body }) },
  {
    name: 'hyperv, live',
    open: async () => ({
      guest: await openGuest(await loadDescriptor(descriptor), { stateDir }),
      truth: truthOf(placed),
      heldOpen: () => readdirSync('/proc/self/fd').length,
    }),
  },
)
for (const { name, body } of tests) {
  const thrown = await body().then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error)),
  )
  results.push({ name, thrown })
}
for (const { fd } of placed) closeSync(fd)
process.stdout.write(JSON.stringify(results))

/** Holes and content of the files. */
function truthOf(files: readonly Placed[]): GuestTruth {
  const backed = new PfnSet()
  for (const { start, count, fd } of files) {
    for (const { startBytes, endBytes } of dataRanges(fd, { startBytes: 0, endBytes: count * FRAME_BYTES })) {
      const first = Math.floor(startBytes / FRAME_BYTES)
      backed.add({ start: start + first, count: Math.ceil(endBytes / FRAME_BYTES) - first })
    }
  }
  const states = [...backed.allRuns()].map((run): BackingRun => ({ ...run, state: 'backed' }))
  return {
    states,
    content(pfn) {
      const file = files.findLast(({ start, count }) => start <= pfn && pfn < start + count)
      if (!file) throw new RangeError(`frame ${pfn} is in none of the files`)
      const bytes = new Uint8Array(FRAME_BYTES)
      readSync(file.fd, bytes, 0, FRAME_BYTES, (pfn - file.start) * FRAME_BYTES)
      return bytes
    },
  }
}
