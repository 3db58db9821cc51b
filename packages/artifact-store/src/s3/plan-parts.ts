import type { Sealing } from '../delivery.ts'
import { CHUNK_BYTES, SLOT_BYTES, sealedBytes } from '../sealed-format.ts'

const UNIT_BYTES = 64 * 1024
/** Parts of the largest file that was foretold. S3 takes 10000: a file may become somewhat larger than that. */
const MOST_PARTS = 9_000

/** How the stored form of a file is cut into parts, all of one size but the last. Parts count from 0 here. */
export interface PartPlan {
  /** Stored bytes of a part. */
  readonly partBytes: number
  /** The plain bytes that part `index` is made of, when it is not the last. */
  plainRange(index: number): { startByte: number; endByte: number }
  /** The part that plain byte `position` becomes part of. */
  partOf(position: number): number
}

/** Parts of at least `wishedBytes`, as many as an upload may have for a file of up to `atMostBytes`. */
export function planParts(sealing: Sealing | undefined, wishedBytes: number, atMostBytes: number): PartPlan {
  const unit = sealing ? SLOT_BYTES : UNIT_BYTES
  const total = sealing ? sealedBytes(atMostBytes) : atMostBytes
  const units = Math.max(Math.ceil(wishedBytes / unit), Math.ceil(total / MOST_PARTS / unit))
  const partBytes = units * unit
  if (!sealing) {
    return {
      partBytes,
      plainRange: (index) => ({ startByte: index * partBytes, endByte: (index + 1) * partBytes }),
      partOf: (position) => Math.floor(position / partBytes),
    }
  }
  // The header has the first slot: chunk i is in slot i + 1.
  return {
    partBytes,
    plainRange: (index) => ({
      startByte: Math.max(0, index * units - 1) * CHUNK_BYTES,
      endByte: ((index + 1) * units - 1) * CHUNK_BYTES,
    }),
    partOf: (position) => Math.floor((Math.floor(position / CHUNK_BYTES) + 1) / units),
  }
}
