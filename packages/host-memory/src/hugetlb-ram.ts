import { fstatSync } from 'node:fs'
import { fileSystemType } from '@ullage/native'
import { checkPart, closeOnce, type FilePart } from './file-part.ts'
import type { HostProcess } from './host-process.ts'
import type { Vma } from './process-map.ts'
import { type BackingBytes, checkInside, maximalRuns, type RamSource } from './ram-source.ts'
import { readFully } from './read-fully.ts'

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

  function* pieces(startBytes: number, endBytes: number): Generator<BackingBytes & { privateAt?: Vma }> {
    if (!mapping) {
      yield { startBytes, endBytes, state: 'unknown' }
      return
    }
    const base = mapping.area.startBytes
    for (const run of mapping.process.pagemap.runs(base + startBytes, base + endBytes)) {
      const within = { startBytes: run.startBytes - base, endBytes: run.endBytes - base }
      const isPrivate = run.present && !run.ofFile
      yield { ...within, state: run.present ? 'backed' : 'unknown', ...(isPrivate && { privateAt: mapping.area }) }
    }
  }

  return {
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
        const inProcess = mapping && { fd: mapping.process.memFd, about, baseBytes: mapping.area.startBytes }
        readFully(piece.privateAt && inProcess ? inProcess : inFile, piece.startBytes, bytes)
      }
    },
    figures() {
      // Of the whole file, and exact: every huge page of it, whoever touched it.
      const backedBytes = Math.min(sizeBytes, fstatSync(fd).blocks * STAT_BLOCK_BYTES)
      return { backedBytes, residentBytes: backedBytes }
    },
    [Symbol.dispose]: closeOnce(fd),
  }
}
