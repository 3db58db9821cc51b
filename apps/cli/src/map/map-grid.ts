import { endOf, mergeRanges, type PfnRange } from '@ullage/pages'

/** Cells in a row of the picture. */
export const COLUMNS = 128
/** Rows that a picture has at most, unless guest RAM lies in more places than that. */
const MAX_ROWS = 72
/** Places that have a row of their own: of more than these, neighbours share one. */
const MAX_PLACES = 256

/** Rows of the picture that follow each other in the guest's address space. */
export interface MapBlock {
  /** Number of the first row, counted in the picture. */
  readonly firstRow: number
  readonly rows: number
  /** First frame of the first row: a multiple of a row's frames. */
  readonly start: number
}

/** How guest RAM is laid out in rows of cells. Frames lie from left to right, then downwards; places without RAM are left out. */
export interface MapGrid {
  /** A power of two. */
  readonly framesPerCell: number
  readonly blocks: readonly MapBlock[]
  readonly rows: number
}

/** The finest grid in which `extents` take no more rows than a picture should have. */
export function mapGrid(extents: readonly PfnRange[]): MapGrid {
  const ram = mergeRanges(extents)
  for (let framesPerCell = 1; ; framesPerCell *= 2) {
    const blocks = blocksOf(ram, framesPerCell * COLUMNS)
    const last = blocks.at(-1)
    const rows = last ? last.firstRow + last.rows : 0
    // Little is gained by larger cells once every place takes a single row.
    if (rows <= MAX_ROWS || (rows === blocks.length && rows <= MAX_PLACES)) return { framesPerCell, blocks, rows }
  }
}

function blocksOf(ram: readonly PfnRange[], rowFrames: number): MapBlock[] {
  const rows = mergeRanges(
    ram.map((range) => {
      const start = Math.floor(range.start / rowFrames)
      return { start, count: Math.ceil(endOf(range) / rowFrames) - start }
    }),
  )
  let firstRow = 0
  return rows.map(({ start, count }) => {
    const block = { firstRow, rows: count, start: start * rowFrames }
    firstRow += count
    return block
  })
}
