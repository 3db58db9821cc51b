import { guestClasses, hostStates, type PlanRun } from '@ullage/dump'
import { COLUMNS, type MapGrid } from './map-grid.ts'

const STATES = hostStates.length
/** Combinations of class and state: `class * states + state`. */
export const COMBINATIONS = guestClasses.length * STATES

/** How many frames of each combination of class and state lie in each cell of a grid. */
export class MapCells {
  readonly grid: MapGrid
  readonly #counts: Float64Array
  readonly #first = new Map<number, number>()
  #block = 0

  constructor(grid: MapGrid) {
    this.grid = grid
    this.#counts = new Float64Array(grid.rows * COLUMNS * COMBINATIONS)
  }

  /** Takes the next run, in ascending order, in guest RAM. */
  add({ start, count, guestClass, hostState }: PlanRun): void {
    const { framesPerCell, blocks } = this.grid
    const combination = guestClass * STATES + hostState
    if (!this.#first.has(combination)) this.#first.set(combination, start)
    for (let at = start; at < start + count; ) {
      let block = blocks[this.#block]
      while (block && at >= block.start + block.rows * COLUMNS * framesPerCell) block = blocks[++this.#block]
      if (!block || at < block.start) throw new RangeError(`frame ${at} is not in the grid`)
      const cell = Math.floor((at - block.start) / framesPerCell)
      const end = Math.min(start + count, block.start + (cell + 1) * framesPerCell)
      const index = (block.firstRow * COLUMNS + cell) * COMBINATIONS + combination
      this.#counts[index] = (this.#counts[index] as number) + end - at
      at = end
    }
  }

  /** The first frame of a combination; undefined when there is none. */
  firstOf(combination: number): number | undefined {
    return this.#first.get(combination)
  }

  /** Frames of each combination in one cell. */
  at(row: number, column: number): Float64Array {
    const first = (row * COLUMNS + column) * COMBINATIONS
    return this.#counts.subarray(first, first + COMBINATIONS)
  }
}
