import { closeSync, openSync, readSync } from 'node:fs'
import { endOf, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import type { ByteRange } from './lab-guest.ts'

/** What the host backs is told in units of this. */
const HOST_FRAME_BYTES = 4096

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
  readonly machine: 'x86_64' | 'aarch64'
  readonly extents: readonly PfnRange[]
  /** Frames that the host backs, if only a part of them. */
  readonly backed: PfnSet
  /** Fills all of `into`. Throws RangeError for a frame outside guest RAM or one that the host does not back. */
  read(range: PfnRange, into: Uint8Array): void
  isReadable(range: PfnRange): boolean
  /** Fills all of `into`, or returns false for a range that is not readable. */
  tryRead(range: PfnRange, into: Uint8Array): boolean
  toPfn(gfn: number): number | undefined
}

/** RAM of a guest whose pages may be larger than what the host tells apart. */
export interface SizedMemoryView extends MemoryView {
  /** The same memory in frames of this many bytes; closed with this view. */
  inFramesOf(frameBytes: number): MemoryView
}

export interface MemoryViewOptions {
  /** `x86_64` when left out. */
  readonly machine?: MemoryView['machine']
  /** 4096 when left out. */
  readonly frameBytes?: number
}

/** Opens the files of `regions`; disposing closes them. */
export function openMemoryView(regions: readonly MemoryRegion[], options: MemoryViewOptions = {}): SizedMemoryView {
  const { machine = 'x86_64', frameBytes = HOST_FRAME_BYTES } = options
  const others: MemoryView[] = []
  const parts = regions.map((region) => ({
    start: region.gpaBytes / frameBytes,
    count: region.sizeBytes / frameBytes,
    offsetBytes: region.offsetBytes,
    fd: openSync(region.file, 'r'),
  }))
  const extents = mergeRanges(parts)
  const ram = PfnSet.of(extents)
  const backed = backedFrames(regions, frameBytes)
  const isReadable = (range: PfnRange): boolean => backed.next(range.start, false, endOf(range)) === endOf(range)
  const view: SizedMemoryView = {
    frameBytes,
    machine,
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
      if (into.length !== range.count * frameBytes) {
        throw new RangeError(`${range.count} frames do not fill ${into.length} bytes`)
      }
      if (!isReadable(range)) {
        throw new RangeError(`frames [${range.start}, ${endOf(range)}) are not all backed guest RAM`)
      }
      for (const part of parts) {
        const start = Math.max(range.start, part.start)
        const end = Math.min(endOf(range), endOf(part))
        if (end <= start) continue
        const position = part.offsetBytes + (start - part.start) * frameBytes
        const at = (start - range.start) * frameBytes
        readFully(part.fd, into.subarray(at, at + (end - start) * frameBytes), position)
      }
    },
    inFramesOf: (other) => {
      const coarse = openMemoryView(regions, { machine, frameBytes: other })
      others.push(coarse)
      return coarse
    },
    [Symbol.dispose]: () => {
      for (const other of others) other[Symbol.dispose]()
      for (const { fd } of parts) closeSync(fd)
    },
  }
  return view
}

function backedFrames(regions: readonly MemoryRegion[], frameBytes: number): PfnSet {
  const backed = new PfnSet()
  for (const { backedBytes, offsetBytes, gpaBytes, sizeBytes } of regions) {
    for (const { startByte, endByte } of backedBytes) {
      const start = Math.max(startByte, offsetBytes)
      const end = Math.min(endByte, offsetBytes + sizeBytes)
      if (end <= start) continue
      const gpa = start - offsetBytes + gpaBytes
      const first = Math.floor(gpa / frameBytes)
      backed.add({ start: first, count: Math.ceil((gpa + end - start) / frameBytes) - first })
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
