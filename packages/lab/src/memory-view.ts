import { closeSync, openSync, readSync } from 'node:fs'
import { endOf, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import type { ByteRange } from './lab-guest.ts'

/** Bytes in one frame of every guest of the lab. */
const FRAME_BYTES = 4096

/** One region of a guest's RAM: where the guest sees it, which file holds it, which bytes of the file the host backs. */
export interface MemoryRegion {
  /** Guest physical address of its first byte. */
  readonly gpaBytes: number
  readonly sizeBytes: number
  readonly file: string
  readonly offsetBytes: number
  /** Half-open byte ranges of the file, ascending. */
  readonly backedBytes: readonly ByteRange[]
}

/** A guest's RAM, read from files that hold it. Has the shape of what linux-guest needs of a guest. */
export interface MemoryView extends Disposable {
  readonly frameBytes: number
  readonly machine: 'x86_64'
  readonly extents: readonly PfnRange[]
  /** Frames that the host backs. */
  readonly backed: PfnSet
  /** Fills all of `into`. Throws RangeError for a frame outside guest RAM or one that the host does not back. */
  read(range: PfnRange, into: Uint8Array): void
  isReadable(range: PfnRange): boolean
  /** Fills all of `into`, or returns false for a range that is not readable. */
  tryRead(range: PfnRange, into: Uint8Array): boolean
  toPfn(gfn: number): number | undefined
}

/** Opens the files of `regions`; disposing closes them. */
export function openMemoryView(regions: readonly MemoryRegion[]): MemoryView {
  const parts = regions.map((region) => ({
    start: region.gpaBytes / FRAME_BYTES,
    count: region.sizeBytes / FRAME_BYTES,
    offsetBytes: region.offsetBytes,
    fd: openSync(region.file, 'r'),
  }))
  const extents = mergeRanges(parts)
  const ram = PfnSet.of(extents)
  const backed = backedFrames(regions)
  const isReadable = (range: PfnRange): boolean => backed.next(range.start, false, endOf(range)) === endOf(range)
  const view: MemoryView = {
    frameBytes: FRAME_BYTES,
    machine: 'x86_64',
    extents,
    backed,
    isReadable,
    tryRead: (range, into) => {
      if (!isReadable(range)) return false
      view.read(range, into)
      return true
    },
    toPfn: (gfn) => (ram.has(gfn) ? gfn : undefined),
    read: (range, into) => {
      if (into.length !== range.count * FRAME_BYTES) {
        throw new RangeError(`${range.count} frames do not fill ${into.length} bytes`)
      }
      if (!isReadable(range)) {
        throw new RangeError(`frames [${range.start}, ${endOf(range)}) are not all backed guest RAM`)
      }
      for (const part of parts) {
        const start = Math.max(range.start, part.start)
        const end = Math.min(endOf(range), endOf(part))
        if (end <= start) continue
        const position = part.offsetBytes + (start - part.start) * FRAME_BYTES
        const at = (start - range.start) * FRAME_BYTES
        readFully(part.fd, into.subarray(at, at + (end - start) * FRAME_BYTES), position)
      }
    },
    [Symbol.dispose]: () => {
      for (const { fd } of parts) closeSync(fd)
    },
  }
  return view
}

function backedFrames(regions: readonly MemoryRegion[]): PfnSet {
  const backed = new PfnSet()
  for (const { backedBytes, offsetBytes, gpaBytes, sizeBytes } of regions) {
    for (const { startByte, endByte } of backedBytes) {
      const start = Math.max(startByte, offsetBytes)
      const end = Math.min(endByte, offsetBytes + sizeBytes)
      if (end <= start) continue
      const gpa = start - offsetBytes + gpaBytes
      backed.add({ start: gpa / FRAME_BYTES, count: (end - start) / FRAME_BYTES })
    }
  }
  return backed
}

function readFully(fd: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length; ) {
    const count = readSync(fd, into, done, into.length - done, position + done)
    if (count === 0) throw new RangeError(`file ends at byte ${position + done}`)
    done += count
  }
}
