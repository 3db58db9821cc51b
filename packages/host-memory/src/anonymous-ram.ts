import type { HostProcess } from './host-process.ts'
import { describeArea } from './open-mapped.ts'
import { checkStillMapped, type Vma } from './process-map.ts'
import { bytesByState, checkInside, maximalRuns, type BackingBytes, type RamSource } from './ram-source.ts'
import { readFully } from './read-fully.ts'

/**
 * The RAM source for private anonymous memory: what pagemap calls present or swapped has content and is read through
 * /proc/PID/mem; what it shows nothing for is `unbacked` and never touched there.
 */
export function anonymousRam(process: HostProcess, area: Vma): RamSource {
  const sizeBytes = area.endBytes - area.startBytes
  const about = describeArea(process, area)
  const target = { fd: process.memFd, about, baseBytes: area.startBytes }
  const source: RamSource = {
    kind: 'anonymous',
    about,
    sizeBytes,
    granularityBytes: process.pageBytes,
    tellsSwapped: true,
    backing(within) {
      checkInside(within, sizeBytes)
      return maximalRuns(states(process, area, within.startBytes, within.endBytes))
    },
    read(offsetBytes, into) {
      checkInside({ startBytes: offsetBytes, endBytes: offsetBytes + into.length }, sizeBytes)
      for (const run of states(process, area, offsetBytes, offsetBytes + into.length)) {
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

function* states(process: HostProcess, area: Vma, startBytes: number, endBytes: number): Generator<BackingBytes> {
  const base = area.startBytes
  for (const run of process.pagemap.runs(base + startBytes, base + endBytes)) {
    const state = run.swapped ? 'swapped' : run.present ? 'backed' : 'unbacked'
    yield { startBytes: run.startBytes - base, endBytes: run.endBytes - base, state }
  }
}
