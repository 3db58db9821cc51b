import { closeSync, openSync, readSync } from 'node:fs'
import { endOf, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import { FIXTURE_FRAME_BYTES, type Fixture } from './fixtures.ts'
import type { FixtureRegion } from './fixture-regions.ts'

/** A kept guest's RAM, read from its files: has the shape of what linux-guest needs of a guest. */
export interface FixtureView extends Disposable {
  readonly frameBytes: number
  readonly machine: 'x86_64'
  readonly extents: readonly PfnRange[]
  /** Frames that the host backed. */
  readonly backed: PfnSet
  /** Fills all of `into`. Throws RangeError for a frame outside guest RAM or one that the host did not back. */
  read(range: PfnRange, into: Uint8Array): void
  isReadable(range: PfnRange): boolean
  toPfn(gfn: number): number | undefined
}

/** Opens the RAM files of `fixture`; disposing closes them. */
export function openFixtureView(fixture: Fixture): FixtureView {
  const regions = fixture.regions.map((region) => ({ ...frames(region), fd: openSync(region.file, 'r') }))
  const extents = mergeRanges(regions)
  const ram = PfnSet.of(extents)
  const backed = new PfnSet()
  for (const region of fixture.regions) {
    for (const { startByte, endByte } of region.backedBytes) {
      const gpa = startByte - region.offsetBytes + region.gpaBytes
      backed.add({ start: gpa / FIXTURE_FRAME_BYTES, count: (endByte - startByte) / FIXTURE_FRAME_BYTES })
    }
  }
  const isReadable = (range: PfnRange): boolean => backed.next(range.start, false, endOf(range)) === endOf(range)
  return {
    frameBytes: FIXTURE_FRAME_BYTES,
    machine: 'x86_64',
    extents,
    backed,
    isReadable,
    toPfn: (gfn) => (ram.has(gfn) ? gfn : undefined),
    read: (range, into) => {
      if (into.length !== range.count * FIXTURE_FRAME_BYTES) {
        throw new RangeError(`${range.count} frames do not fill ${into.length} bytes`)
      }
      if (!isReadable(range)) {
        throw new RangeError(`frames [${range.start}, ${endOf(range)}) are not all backed guest RAM`)
      }
      for (const region of regions) {
        const start = Math.max(range.start, region.start)
        const end = Math.min(endOf(range), endOf(region))
        if (end <= start) continue
        const position = region.offsetBytes + (start - region.start) * FIXTURE_FRAME_BYTES
        const at = (start - range.start) * FIXTURE_FRAME_BYTES
        readFully(region.fd, into.subarray(at, at + (end - start) * FIXTURE_FRAME_BYTES), position)
      }
    },
    [Symbol.dispose]: () => {
      for (const { fd } of regions) closeSync(fd)
    },
  }
}

function frames(region: FixtureRegion): PfnRange & { offsetBytes: number } {
  return {
    start: region.gpaBytes / FIXTURE_FRAME_BYTES,
    count: region.sizeBytes / FIXTURE_FRAME_BYTES,
    offsetBytes: region.offsetBytes,
  }
}

function readFully(fd: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length; ) {
    const count = readSync(fd, into, done, into.length - done, position + done)
    if (count === 0) throw new RangeError(`file ends at byte ${position + done}`)
    done += count
  }
}
