import { endOf, findRange, type PfnRange } from '@ullage/pages'
import { HostMemoryError } from './host-memory-error.ts'
import { type BackingState, checkInside, type MemoryFigures, type RamSource } from './ram-source.ts'

/** A part of the guest's physical address space and the host memory behind it. */
export interface RamRegion {
  /** As the hypervisor calls it: `ram0`, `pc.ram`, `vmem0`. */
  readonly name: string
  /** Guest physical address of its first byte; a multiple of the frame size. */
  readonly gpaBytes: number
  /** A multiple of the frame size. */
  readonly sizeBytes: number
  readonly source: RamSource
  /** Where in the source it starts. */
  readonly sourceOffsetBytes: number
}

/** A run of frames in one state. */
export interface BackingFrames extends PfnRange {
  readonly state: BackingState
}

/** Frames of one region, and the region. */
interface RegionFrames extends PfnRange {
  readonly region: RamRegion
}

/** Guest RAM as frames, made of regions of host memory. Disposing it disposes the sources. */
export class GuestRam implements Disposable {
  readonly frameBytes: number
  /** Guest RAM: ascending and disjoint; neighbours of one name are one extent. */
  readonly extents: readonly (PfnRange & { readonly name: string })[]
  readonly #regions: readonly RegionFrames[]

  /**
   * Throws HostMemoryError `INVALID` when a region is empty, not aligned to frames or not inside its source, or when two
   * overlap. The sources are its own once it returns.
   *
   * @param options.frameBytes size of a guest page frame, 4096 unless told.
   */
  constructor(regions: readonly RamRegion[], options: { frameBytes?: number } = {}) {
    this.frameBytes = options.frameBytes ?? 4096
    for (const region of regions) checkRegion(region, this.frameBytes)
    const ascending = regions
      .map((region) => ({
        start: region.gpaBytes / this.frameBytes,
        count: region.sizeBytes / this.frameBytes,
        region,
      }))
      .sort((a, b) => a.start - b.start)
    ascending.forEach((frames, i) => {
      const next = ascending[i + 1]
      if (next && next.start < endOf(frames)) {
        throw new HostMemoryError(
          'INVALID',
          `guest memory overlaps itself: ${describe(frames.region)} and ${describe(next.region)}`,
        )
      }
    })
    this.#regions = ascending
    this.extents = joinExtents(ascending)
  }

  /** The regions it is made of, ascending. */
  get regions(): readonly RamRegion[] {
    return this.#regions.map((frames) => frames.region)
  }

  /**
   * The state of every frame of `within`: ascending, gapless, maximal runs, one at a time. Frames outside guest RAM are
   * `unbacked`. Of a frame whose bytes differ in state `unknown` counts before `swapped` before `backed` before `unbacked`.
   * Reads no content and allocates nothing. Throws HostMemoryError.
   */
  *backing(within: PfnRange): Generator<BackingFrames> {
    let open: { start: number; count: number; state: BackingState } | undefined
    for (const run of this.#states(within)) {
      if (open && open.state === run.state) {
        open.count += run.count
        continue
      }
      if (open) yield open
      open = { start: run.start, count: run.count, state: run.state }
    }
    if (open) yield open
  }

  /**
   * Fills `into`, range.count * frameBytes bytes long, with the content of `range`, which lies inside guest RAM (RangeError
   * else). Unbacked frames read as zeros. Throws HostMemoryError whose `pfn` is the first frame that could not be read.
   */
  read(range: PfnRange, into: Uint8Array): void {
    if (into.length !== range.count * this.frameBytes) {
      throw new RangeError(`${range.count} frames need ${range.count * this.frameBytes} bytes, found ${into.length}`)
    }
    const end = endOf(range)
    for (let at = range.start; at < end; ) {
      const frames = this.#regions[findRange(this.#regions, at)]
      if (!frames) throw new RangeError(`frame ${at} is not guest RAM`)
      const count = Math.min(end, endOf(frames)) - at
      const bytes = into.subarray((at - range.start) * this.frameBytes, (at - range.start + count) * this.frameBytes)
      this.#readRegion(frames, at, bytes)
      at += count
    }
  }

  /**
   * Where the content of `range`, which lies inside guest RAM (RangeError else), is in files, in its order; undefined where
   * one of its sources is not read by pread(2) alone.
   */
  filePieces(range: PfnRange): { fd: number; offsetBytes: number; sizeBytes: number }[] | undefined {
    const pieces: { fd: number; offsetBytes: number; sizeBytes: number }[] = []
    for (let at = range.start; at < endOf(range); ) {
      const frames = this.#regions[findRange(this.#regions, at)]
      if (!frames) throw new RangeError(`frame ${at} is not guest RAM`)
      const file = frames.region.source.plainFile
      if (!file) return undefined
      const count = Math.min(endOf(range), endOf(frames)) - at
      const offsetBytes = file.baseBytes + frames.region.sourceOffsetBytes + (at - frames.start) * this.frameBytes
      pieces.push({ fd: file.fd, offsetBytes, sizeBytes: count * this.frameBytes })
      at += count
    }
    return pieces
  }

  /** Host memory behind the whole of guest RAM. */
  figures(): MemoryFigures {
    const sum = { backedBytes: 0, residentBytes: 0 }
    for (const source of this.#sources()) {
      const figures = source.figures()
      sum.backedBytes += figures.backedBytes
      sum.residentBytes += figures.residentBytes
    }
    return sum
  }

  [Symbol.dispose](): void {
    for (const source of this.#sources()) source[Symbol.dispose]()
  }

  #sources(): Set<RamSource> {
    return new Set(this.#regions.map((frames) => frames.region.source))
  }

  #readRegion({ start, region }: RegionFrames, pfn: number, into: Uint8Array): void {
    const offset = (pfn - start) * this.frameBytes + region.sourceOffsetBytes
    try {
      region.source.read(offset, into)
    } catch (error) {
      if (!(error instanceof HostMemoryError)) throw error
      const failed = pfn + Math.floor(((error.offsetBytes ?? offset) - offset) / this.frameBytes)
      throw new HostMemoryError(error.code, `frame ${failed} of ${region.name}: ${error.message}`, {
        cause: error,
        ...(error.offsetBytes !== undefined && { offsetBytes: error.offsetBytes }),
        pfn: failed,
      })
    }
  }

  *#states(within: PfnRange): Generator<BackingFrames> {
    const end = endOf(within)
    let at = within.start
    for (const frames of this.#regions) {
      const start = Math.max(frames.start, at)
      const stop = Math.min(endOf(frames), end)
      if (start >= stop) continue
      if (start > at) yield { start: at, count: start - at, state: 'unbacked' }
      yield* this.#regionStates(frames, start, stop)
      at = stop
    }
    if (end > at) yield { start: at, count: end - at, state: 'unbacked' }
  }

  *#regionStates({ start, region }: RegionFrames, from: number, to: number): Generator<BackingFrames> {
    const base = region.sourceOffsetBytes - start * this.frameBytes
    const within = { startBytes: base + from * this.frameBytes, endBytes: base + to * this.frameBytes }
    let at = from
    let mixed: BackingState | undefined
    for (const run of region.source.backing(within)) {
      // Whole frames up to here are settled; what is left of the last one may still be outvoted by what follows.
      const endFrame = (run.endBytes - base) / this.frameBytes
      const state: BackingState = mixed === undefined ? run.state : stronger(mixed, run.state)
      const whole = Math.floor(endFrame)
      if (mixed !== undefined && whole > at) {
        yield { start: at, count: 1, state }
        at += 1
        mixed = undefined
      }
      if (whole > at) {
        yield { start: at, count: whole - at, state: run.state }
        at = whole
      }
      if (endFrame > at) mixed = mixed === undefined ? run.state : stronger(mixed, run.state)
    }
    if (at !== to)
      throw new HostMemoryError('GONE', `${region.name} told the state of frames up to ${at} only, not ${to}`)
  }
}

const strength = { unbacked: 0, backed: 1, swapped: 2, unknown: 3 } as const satisfies Record<BackingState, number>

function stronger(a: BackingState, b: BackingState): BackingState {
  return strength[a] >= strength[b] ? a : b
}

function checkRegion(region: RamRegion, frameBytes: number): void {
  const { gpaBytes, sizeBytes, sourceOffsetBytes, source } = region
  const integers = [gpaBytes, sizeBytes, sourceOffsetBytes].every((value) => Number.isSafeInteger(value) && value >= 0)
  if (!integers || sizeBytes === 0 || !Number.isSafeInteger(gpaBytes + sizeBytes)) {
    throw new HostMemoryError('INVALID', `${describe(region)} is not a range of guest memory`)
  }
  if (gpaBytes % frameBytes !== 0 || sizeBytes % frameBytes !== 0) {
    throw new HostMemoryError(
      'INVALID',
      `${describe(region)} does not start and end at multiples of ${frameBytes} bytes`,
    )
  }
  try {
    checkInside({ startBytes: sourceOffsetBytes, endBytes: sourceOffsetBytes + sizeBytes }, source.sizeBytes)
  } catch (error) {
    throw new HostMemoryError(
      'INVALID',
      `${describe(region)} should be at byte ${sourceOffsetBytes} of ${source.about}, which has ${source.sizeBytes} bytes`,
      { cause: error },
    )
  }
}

function describe({ name, gpaBytes, sizeBytes }: RamRegion): string {
  return `${name} at guest physical [0x${gpaBytes.toString(16)}, 0x${(gpaBytes + sizeBytes).toString(16)})`
}

function joinExtents(regions: readonly RegionFrames[]): (PfnRange & { name: string })[] {
  const joined: { start: number; count: number; name: string }[] = []
  for (const { start, count, region } of regions) {
    const last = joined.at(-1)
    if (last && endOf(last) === start && last.name === region.name) last.count += count
    else joined.push({ start, count, name: region.name })
  }
  return joined
}
