import { basename } from 'node:path'
import { type FilesSource, openHyperv } from '@ullage/hyperv'
import { type HypervFixture, openMemoryView } from '@ullage/lab'
import type { BackingRun } from '@ullage/offline-query'
import type { ConformanceFixture } from '@ullage/offline-query/conformance'
import { endOf, type PfnRange, PfnSet } from '@ullage/pages'

/** The frames of `hyperv-hotadd` whose state each witness is known to tell, found without the backend. */
export const HOT_ADDED: PfnRange = { start: 0x80_0000, count: 25_600 }
export const MEMDEV: PfnRange = { start: 0x80_0000, count: 65_536 }

type Witnesses = Pick<FilesSource, 'ranges' | 'messages' | 'backing'>

/** The kept guest, its host's word from `witnesses`, with `unbacked` frames unbacked and all others in `rest`. */
export async function fixtureGuest(
  fixture: HypervFixture,
  options: { witnesses: Witnesses; unbacked: PfnSet; rest: 'backed' | 'unknown'; baseDir?: string },
): Promise<ConformanceFixture> {
  const { witnesses, unbacked, rest } = options
  const memory = openMemoryView(fixture.regions)
  const regions = fixture.regions.map(({ gpaBytes, sizeBytes, file, offsetBytes }) => ({
    gpa: gpaBytes,
    size: sizeBytes,
    file: basename(file),
    offset: offsetBytes,
  }))
  const source: FilesSource = { kind: 'files', regions, notes: 'notes.elf', ...witnesses }
  const guest = await openHyperv(source, { baseDir: options.baseDir ?? fixture.dir, stateDir: fixture.dir })
  return {
    guest,
    truth: {
      states: memory.extents.flatMap((extent) => runsOf(extent, unbacked, rest)),
      content: (pfn) => {
        const page = new Uint8Array(memory.frameBytes)
        if (memory.backed.has(pfn)) memory.read({ start: pfn, count: 1 }, page)
        return page
      },
    },
    dispose: async () => memory[Symbol.dispose](),
  }
}

function runsOf(extent: PfnRange, unbacked: PfnSet, rest: 'backed' | 'unknown'): BackingRun[] {
  const runs: BackingRun[] = []
  for (let at = extent.start; at < endOf(extent); ) {
    const isUnbacked = unbacked.has(at)
    const end = unbacked.next(at, !isUnbacked, endOf(extent))
    runs.push({ start: at, count: end - at, state: isUnbacked ? 'unbacked' : rest })
    at = end
  }
  return runs
}

/** Frames without memory by `backing.json`. */
export function holesOf(fixture: HypervFixture): PfnSet {
  using memory = openMemoryView(fixture.regions)
  const holes = PfnSet.of(memory.extents)
  for (const run of memory.backed.allRuns()) holes.delete(run)
  return holes
}

/** Frames in the ranges of `dm-ranges.json`, and those of the memory device that were never added. */
export function toldByRanges(json: string): PfnSet {
  const { ballooned } = JSON.parse(json) as { ballooned: [number, number][] }
  const told = PfnSet.of(ballooned.map(([start, count]) => ({ start, count })))
  told.add({ start: endOf(HOT_ADDED), count: endOf(MEMDEV) - endOf(HOT_ADDED) })
  return told
}
