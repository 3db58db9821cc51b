import type { HostProcess } from './host-process.ts'
import { describeArea } from './open-mapped.ts'
import type { PageRun } from './pagemap.ts'
import { checkStillMapped, type Vma } from './process-map.ts'
import { bytesByState, checkInside, maximalRuns, type BackingBytes, type RamSource } from './ram-source.ts'
import { readFully } from './read-fully.ts'

/**
 * The RAM source for private anonymous memory: what pagemap calls present or swapped has content and is read through
 * /proc/PID/mem; what it shows nothing for is `unbacked` and never touched there. So is the kernel's page of zeros, where the
 * kernel tells it (Linux 6.7): reading memory that was never written maps it, as a dump by the hypervisor does all over.
 */
export function anonymousRam(process: HostProcess, area: Vma): RamSource {
  const sizeBytes = area.endBytes - area.startBytes
  const base = area.startBytes
  const about = describeArea(process, area)
  const target = { fd: process.memFd, about, baseBytes: base }
  const source: RamSource = {
    kind: 'anonymous',
    about,
    sizeBytes,
    granularityBytes: process.pageBytes,
    tellsSwapped: true,
    backing(within) {
      checkInside(within, sizeBytes)
      return maximalRuns(states(area, process.pagemap.runs(base + within.startBytes, base + within.endBytes)))
    },
    read(offsetBytes, into) {
      checkInside({ startBytes: offsetBytes, endBytes: offsetBytes + into.length }, sizeBytes)
      // Not a scan: a page of zeros may be read like any other, and for a small range this is one system call.
      const entries = process.pagemap.entryRuns(base + offsetBytes, base + offsetBytes + into.length)
      for (const run of states(area, entries)) {
        const part = into.subarray(run.startBytes - offsetBytes, run.endBytes - offsetBytes)
        if (run.state === 'unbacked') {
          checkStillMapped(process.areas(), area, about)
          part.fill(0)
        } else {
          readFully(target, run.startBytes, part)
        }
      }
    },
    figures() {
      const bytes = bytesByState(source)
      return { backedBytes: bytes.backed + bytes.swapped, residentBytes: bytes.backed }
    },
    [Symbol.dispose]() {},
  }
  return source
}

function* states(area: Vma, runs: Iterable<PageRun>): Generator<BackingBytes> {
  for (const run of runs) {
    const state = run.swapped ? 'swapped' : run.present && !run.zeroPage ? 'backed' : 'unbacked'
    yield { startBytes: run.startBytes - area.startBytes, endBytes: run.endBytes - area.startBytes, state }
  }
}
