import { endOf, findRange, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import { SparseFrames } from './sparse-frames.ts'

/** One read that should not have been made: of a frame outside guest RAM, or of one that the host does not back. */
export interface ForbiddenRead extends PfnRange {
  readonly first: number
  readonly why: 'outside guest RAM' | 'not backed'
}

/**
 * A guest's memory of which only what was written takes room, so that it may have a terabyte. Has the shape of what
 * linux-guest needs of a guest: `tryRead` asks first, `read` throws and remembers what should not have been read.
 */
export class SyntheticGuest {
  readonly machine: 'x86_64' | 'aarch64'
  readonly frameBytes: number
  /** Guest RAM: ascending, disjoint. */
  readonly extents: readonly PfnRange[]
  readonly memory: SparseFrames
  /** Frames of guest RAM that the host does not back. */
  readonly unbacked = new PfnSet()
  readonly forbidden: ForbiddenRead[] = []
  /** Frames read so far. */
  framesRead = 0

  constructor(options: {
    readonly extents: readonly PfnRange[]
    readonly frameBytes?: number
    readonly machine?: 'x86_64' | 'aarch64'
  }) {
    this.extents = mergeRanges(options.extents)
    this.frameBytes = options.frameBytes ?? 4096
    this.machine = options.machine ?? 'x86_64'
    this.memory = new SparseFrames(this.frameBytes)
  }

  /** Whether every frame of `range` is guest RAM that the host backs. */
  isReadable(range: PfnRange): boolean {
    return this.#firstForbidden(range) === undefined
  }

  tryRead(range: PfnRange, into: Uint8Array): boolean {
    if (!this.isReadable(range)) return false
    this.read(range, into)
    return true
  }

  /** Fills `into`. Throws RangeError for what must not be read. */
  read(range: PfnRange, into: Uint8Array): void {
    if (into.length !== range.count * this.frameBytes) {
      throw new RangeError(`${range.count} frames do not fill ${into.length} bytes`)
    }
    const found = this.#firstForbidden(range)
    if (found) {
      this.forbidden.push({ ...range, ...found })
      throw new RangeError(`frame ${found.first} must not be read: it is ${found.why}`)
    }
    this.framesRead += range.count
    this.memory.read(range, into)
  }

  toPfn(gfn: number): number | undefined {
    return findRange(this.extents, gfn) === -1 ? undefined : gfn
  }

  #firstForbidden(range: PfnRange): Pick<ForbiddenRead, 'first' | 'why'> | undefined {
    for (let pfn = range.start; pfn < endOf(range); ) {
      const extent = this.extents[findRange(this.extents, pfn)]
      if (!extent) return { first: pfn, why: 'outside guest RAM' }
      const end = Math.min(endOf(extent), endOf(range))
      const unbacked = this.unbacked.next(pfn, true, end)
      if (unbacked < end) return { first: unbacked, why: 'not backed' }
      pfn = end
    }
    return undefined
  }
}
