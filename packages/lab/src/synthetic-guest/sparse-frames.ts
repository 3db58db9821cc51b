import { endOf, type PfnRange } from '@ullage/pages'

/** Frames whose content is made when somebody reads them. `fill` overwrites all of `into`, the content of one frame. */
export interface MadeFrames extends PfnRange {
  fill(pfn: number, into: Uint8Array): void
}

/** Memory in which only what was written takes room. What was not is zeros, or is made when it is read. */
export class SparseFrames {
  readonly frameBytes: number
  readonly #frames = new Map<number, Uint8Array>()
  readonly #made: MadeFrames[] = []

  constructor(frameBytes: number) {
    this.frameBytes = frameBytes
  }

  /** Frames that were written, in no order. */
  get written(): Iterable<number> {
    return this.#frames.keys()
  }

  /** Has the content of frames that are not written made when they are read. */
  make(frames: MadeFrames): void {
    this.#made.push(frames)
  }

  /** Fills `into` with the content of `range`. */
  read(range: PfnRange, into: Uint8Array): void {
    const { frameBytes } = this
    for (let i = 0; i < range.count; i++) {
      const pfn = range.start + i
      const page = into.subarray(i * frameBytes, (i + 1) * frameBytes)
      const frame = this.#frames.get(pfn)
      if (frame) page.set(frame)
      else this.#fill(pfn, page)
    }
  }

  /** The content of one frame, to be changed. */
  frame(pfn: number): Uint8Array {
    let frame = this.#frames.get(pfn)
    if (!frame) {
      frame = new Uint8Array(this.frameBytes)
      this.#fill(pfn, frame)
      this.#frames.set(pfn, frame)
    }
    return frame
  }

  /** Writes `bytes` from physical address `atBytes` on. */
  write(atBytes: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const inFrame = (atBytes + done) % this.frameBytes
      const count = Math.min(bytes.length - done, this.frameBytes - inFrame)
      this.frame(Math.floor((atBytes + done) / this.frameBytes)).set(bytes.subarray(done, done + count), inFrame)
      done += count
    }
  }

  /** Writes a little-endian u64; `atBytes` is a multiple of 8. */
  writeU64(atBytes: number, value: bigint): void {
    this.#view(atBytes).setBigUint64(atBytes % this.frameBytes, BigInt.asUintN(64, value), true)
  }

  readU64(atBytes: number): bigint {
    return this.#view(atBytes).getBigUint64(atBytes % this.frameBytes, true)
  }

  #view(atBytes: number): DataView {
    return new DataView(this.frame(Math.floor(atBytes / this.frameBytes)).buffer)
  }

  #fill(pfn: number, into: Uint8Array): void {
    const made = this.#made.find((frames) => pfn >= frames.start && pfn < endOf(frames))
    if (made) made.fill(pfn, into)
    else into.fill(0)
  }
}
