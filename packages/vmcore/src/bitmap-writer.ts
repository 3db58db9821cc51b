import { endOf, type PfnRange } from '@ullage/pages'
import { AppendBuffer } from './append-buffer.ts'
import type { PositionedSink } from './vmcore-writer.ts'

const CHUNK_BYTES = 1 << 20

export interface BitmapPlace {
  /** What the bitmap is of, for errors: `present`, `stored`. */
  readonly name: string
  readonly position: number
  /** Size of the bitmap in the file, a multiple of the block size. */
  readonly sizeBytes: number
  /** First frame that may not be set. */
  readonly maxPfn: number
}

/**
 * Writes one page bitmap, bit n & 7 of byte n >> 3 for frame n, from its runs, never holding more than a chunk of it.
 * Returns the number of frames set. Throws RangeError when the runs are not ascending, disjoint and below `maxPfn`.
 */
export async function writeBitmap(sink: PositionedSink, runs: Iterable<PfnRange>, place: BitmapPlace): Promise<number> {
  const out = new AppendBuffer(sink, place.position, CHUNK_BYTES)
  let chunk = new Uint8Array(Math.min(CHUNK_BYTES, place.sizeBytes))
  let chunkStart = 0
  let frames = 0
  let end = 0

  const nextChunk = async (): Promise<void> => {
    await out.append(chunk)
    chunkStart += chunk.length
    const left = place.sizeBytes - chunkStart
    if (left < chunk.length) chunk = new Uint8Array(left)
    else chunk.fill(0)
  }

  for (const run of runs) {
    if (run.start < end || run.count < 1 || endOf(run) > place.maxPfn) {
      throw new RangeError(
        `${place.name} frames must be ascending, disjoint and below ${place.maxPfn}, found [${run.start}, ${endOf(run)}) after ${end}`,
      )
    }
    end = endOf(run)
    frames += run.count
    for (let pfn = run.start; pfn < end; ) {
      while (pfn >= (chunkStart + chunk.length) * 8) await nextChunk()
      const upTo = Math.min(end, (chunkStart + chunk.length) * 8)
      setBits(chunk, pfn - chunkStart * 8, upTo - chunkStart * 8)
      pfn = upTo
    }
  }
  while (chunkStart < place.sizeBytes) await nextChunk()
  await out.flush()
  return frames
}

function setBits(bitmap: Uint8Array, from: number, to: number): void {
  let bit = from
  for (; bit < to && (bit & 7) !== 0; bit++) bitmap[bit >>> 3] = (bitmap[bit >>> 3] as number) | (1 << (bit & 7))
  const whole = to >>> 3
  if (bit >>> 3 < whole) {
    bitmap.fill(0xff, bit >>> 3, whole)
    bit = whole << 3
  }
  for (; bit < to; bit++) bitmap[bit >>> 3] = (bitmap[bit >>> 3] as number) | (1 << (bit & 7))
}
