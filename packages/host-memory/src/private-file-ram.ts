import { closeOnce, type FilePart } from './file-part.ts'
import { sharedFileRam } from './file-ram.ts'
import type { HostProcess } from './host-process.ts'
import type { PageRun } from './pagemap.ts'
import type { Vma } from './process-map.ts'
import { type BackingBytes, bytesByState, checkInside, maximalRuns, type RamSource } from './ram-source.ts'
import { readFully } from './read-fully.ts'

/**
 * The RAM source for a file mapped share=off: the guest's writes live in private pages, which pagemap shows as present or
 * swapped and not of a file; they are read through /proc/PID/mem. Everywhere else the guest sees the file.
 */
export function privateFileRam(process: HostProcess, area: Vma, part: FilePart): RamSource {
  const file = sharedFileRam(part)
  const { sizeBytes, about } = part
  const base = area.startBytes
  const target = { fd: process.memFd, about, baseBytes: base }

  function* pieces(runs: Iterable<PageRun>): Generator<BackingBytes & { private: boolean }> {
    for (const run of runs) {
      const within = { startBytes: run.startBytes - base, endBytes: run.endBytes - base }
      if ((run.present || run.swapped) && !run.ofFile) {
        yield { ...within, state: run.swapped ? 'swapped' : 'backed', private: true }
      } else {
        for (const piece of file.backing(within)) yield { ...piece, private: false }
      }
    }
  }

  const source: RamSource = {
    kind: 'privateFile',
    about,
    sizeBytes,
    granularityBytes: Math.min(process.pageBytes, file.granularityBytes),
    tellsSwapped: true,
    backing(within) {
      checkInside(within, sizeBytes)
      return maximalRuns(pieces(process.pagemap.runs(base + within.startBytes, base + within.endBytes)))
    },
    read(offsetBytes, into) {
      checkInside({ startBytes: offsetBytes, endBytes: offsetBytes + into.length }, sizeBytes)
      for (const piece of pieces(process.pagemap.entryRuns(base + offsetBytes, base + offsetBytes + into.length))) {
        const bytes = into.subarray(piece.startBytes - offsetBytes, piece.endBytes - offsetBytes)
        if (piece.private) readFully(target, piece.startBytes, bytes)
        else file.read(piece.startBytes, bytes)
      }
    },
    figures() {
      const bytes = bytesByState(source)
      return { backedBytes: bytes.backed + bytes.swapped, residentBytes: bytes.backed }
    },
    [Symbol.dispose]: closeOnce(part.fd),
  }
  return source
}
