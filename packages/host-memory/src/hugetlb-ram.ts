import { fstatSync } from 'node:fs'
import { fileSystemType } from '@ullage/native'
import { checkPart, closeOnce, type FilePart } from './file-part.ts'
import type { HostProcess } from './host-process.ts'
import type { Vma } from './process-map.ts'
import { type BackingBytes, bytesByState, checkInside, maximalRuns, type RamSource } from './ram-source.ts'
import { type ReadTarget, readFully } from './read-fully.ts'

const STAT_BLOCK_BYTES = 512

/**
 * The RAM source for hugetlbfs, whose holes lseek does not show. A huge page that the process has in its page tables is
 * `backed`; any other is `unknown`, since another process (vhost-user, DPDK) may have written it; without a process all are.
 * Read by pread, which gives zeros in a hole and allocates nothing; private pages (share=off) through /proc/PID/mem. Huge
 * pages are never swapped.
 */
export function hugetlbRam(part: FilePart, mapping?: { process: HostProcess; area: Vma }): RamSource {
  checkPart(part)
  const { fd, about, sizeBytes } = part
  const inFile = { fd, about, baseBytes: part.offsetBytes }

  const inProcess = mapping && { fd: mapping.process.memFd, about, baseBytes: mapping.area.startBytes }

  function* pieces(startBytes: number, endBytes: number): Generator<BackingBytes & { from: ReadTarget }> {
    if (!mapping || !inProcess) {
      yield { startBytes, endBytes, state: 'unknown', from: inFile }
      return
    }
    const base = inProcess.baseBytes
    for (const run of mapping.process.pagemap.entryRuns(base + startBytes, base + endBytes)) {
      yield {
        startBytes: run.startBytes - base,
        endBytes: run.endBytes - base,
        state: run.present ? 'backed' : 'unknown',
        from: run.present && !run.ofFile ? inProcess : inFile,
      }
    }
  }

  const source: RamSource = {
    kind: 'hugetlbfs',
    about,
    sizeBytes,
    granularityBytes: fileSystemType(fd).blockBytes,
    tellsSwapped: true,
    backing(within) {
      checkInside(within, sizeBytes)
      return maximalRuns(pieces(within.startBytes, within.endBytes))
    },
    read(offsetBytes, into) {
      checkInside({ startBytes: offsetBytes, endBytes: offsetBytes + into.length }, sizeBytes)
      for (const piece of pieces(offsetBytes, offsetBytes + into.length)) {
        const bytes = into.subarray(piece.startBytes - offsetBytes, piece.endBytes - offsetBytes)
        readFully(piece.from, piece.startBytes, bytes)
      }
    },
    figures() {
      const stat = fstatSync(fd)
      // Exact for a whole file, whoever touched its pages; of a part only what this process has mapped can be told.
      const whole = part.offsetBytes === 0 && sizeBytes === stat.size
      const backedBytes = whole ? stat.blocks * STAT_BLOCK_BYTES : bytesByState(source).backed
      return { backedBytes, residentBytes: backedBytes }
    },
    [Symbol.dispose]: closeOnce(fd),
  }
  return source
}
