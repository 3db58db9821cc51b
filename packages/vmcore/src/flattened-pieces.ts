import type { ExtentMap } from './extent-map.ts'

/** A part of what is read from a flattened file. All in bytes. */
export interface FlattenedPiece {
  /** From the start of what is read. */
  readonly at: number
  readonly length: number
  /** Where it stands in the flattened file; undefined when no record holds it. */
  readonly filePosition: number | undefined
}

/** [position, position + length) of the plain file, which lies before the end of `map`, by the records that hold it: ascending, gapless. */
export function* pieces(map: ExtentMap, position: number, length: number): Generator<FlattenedPiece> {
  let index = map.find(position)
  for (let at = 0; at < length; ) {
    const extent = map.at(index)
    const inside = position + at - extent.start
    const left = inside < 0 ? -inside : extent.length - inside
    const piece = Math.min(length - at, left)
    yield { at, length: piece, filePosition: inside < 0 ? undefined : extent.position + inside }
    at += piece
    if (inside >= 0) index++
  }
}
