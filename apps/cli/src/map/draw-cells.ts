import type { MapCells } from './map-cells.ts'
import { colourOf, STACK_ORDER } from './map-colours.ts'
import { COLUMNS } from './map-grid.ts'
import { stackCell } from './stack-cell.ts'

/** Pixels of one cell, and the space between two rows. */
export const CELL = { width: 7, height: 16, gap: 3 } as const

interface Bar {
  readonly x: number
  readonly y: number
  readonly height: number
  width: number
}

/** Cells as one path for each colour; neighbours that are alike are drawn as one. `yOf`: top of a row. */
export function drawCells(cells: MapCells, at: { x: number; yOf: (row: number) => number }): string {
  const paths = new Map<string, string[]>()
  const full = cells.grid.framesPerCell
  for (let row = 0; row < cells.grid.rows; row++) {
    const open = new Map<number, Bar>()
    const close = (combination: number): void => {
      const bar = open.get(combination)
      if (!bar) return
      open.delete(combination)
      const colour = colourOf(combination)
      const path = paths.get(colour) ?? []
      path.push(`M${bar.x} ${bar.y}h${bar.width}v${bar.height}h-${bar.width}z`)
      paths.set(colour, path)
    }
    for (let column = 0; column < COLUMNS; column++) {
      const layers = stackCell(cells.at(row, column), { order: STACK_ORDER, height: CELL.height, full })
      const drawn = new Set<number>()
      let y = at.yOf(row) + CELL.height
      const x = at.x + column * CELL.width
      for (const { combination, height } of layers) {
        y -= height
        drawn.add(combination)
        const bar = open.get(combination)
        if (bar && bar.y === y && bar.height === height) bar.width += CELL.width
        else {
          close(combination)
          open.set(combination, { x, y, height, width: CELL.width })
        }
      }
      for (const combination of open.keys()) if (!drawn.has(combination)) close(combination)
    }
    for (const combination of open.keys()) close(combination)
  }
  return [...paths].map(([colour, path]) => `<path fill="${colour}" d="${path.join('')}"/>`).join('\n')
}
