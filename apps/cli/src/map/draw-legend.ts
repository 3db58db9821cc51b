import { type FrameCounts, type HostState, hostStates } from '@ullage/dump'
import { humanBytes, humanShare } from '../human.ts'
import type { MapCells } from './map-cells.ts'
import { colourOf, combinationOf, LEGEND, LEGEND_STATES } from './map-colours.ts'
import { line, rect, text } from './svg.ts'

const NAME_WIDTH = 250
const COLUMN_WIDTH = 116
const ROW_HEIGHT = 42
const FOUND_HEIGHT = 14
const SWATCH = 16
const GREY = '#555555'
/** Less than this part of guest RAM is hard to find in the picture: the legend says where the first of it is. */
const RARE = 0.001

/**
 * The matrix of class and state as the key to colours: for each class that has frames a colour, a size and a share for each
 * state. Returns the drawing and how much room it takes.
 */
export function drawLegend(
  { frames, frameBytes }: { readonly frames: FrameCounts; readonly frameBytes: number },
  cells: MapCells,
  { x, y }: { x: number; y: number },
): { svg: string; width: number; height: number } {
  const { byClass, total } = frames
  const sumOf = (state: HostState): number => LEGEND.reduce((sum, { name }) => sum + byClass[name][state], 0)
  const states = LEGEND_STATES.filter((state) => sumOf(state) > 0)
  const rows = LEGEND.filter(({ name }) => hostStates.some((state) => byClass[name][state] > 0))
  const width = NAME_WIDTH + (states.length + 1) * COLUMN_WIDTH
  const column = (i: number): number => x + NAME_WIDTH + i * COLUMN_WIDTH
  const figures = (at: number, top: number, count: number): string[] => [
    text(at, top + 18, humanBytes(count * frameBytes)),
    text(at, top + 33, humanShare(count, total), { size: 11, fill: GREY }),
  ]
  const parts = [text(x, y, 'the guest says', { bold: true })]
  states.forEach((state, i) => parts.push(text(column(i), y, `host: ${state}`, { bold: true })))
  parts.push(text(column(states.length), y, 'in all', { bold: true }))
  let top = y + 10
  for (const { name, holds } of rows) {
    parts.push(line(x, top, x + width, top, '#dddddd'))
    parts.push(text(x, top + 18, name, { bold: true }), text(x, top + 33, holds, { size: 11, fill: GREY }))
    let height = ROW_HEIGHT
    states.forEach((state, i) => {
      const count = byClass[name][state]
      if (count === 0) return
      const combination = combinationOf(name, state)
      const first = cells.firstOf(combination)
      parts.push(rect(column(i), top + 8, SWATCH, 25, colourOf(combination), '#888888'))
      parts.push(...figures(column(i) + SWATCH + 6, top, count))
      if (count >= total * RARE || first === undefined) return
      const address = `at 0x${(BigInt(first) * BigInt(frameBytes)).toString(16)}${count > 1 ? ' …' : ''}`
      parts.push(text(column(i) + SWATCH + 6, top + 33 + FOUND_HEIGHT, address, { size: 10, fill: GREY }))
      height = ROW_HEIGHT + FOUND_HEIGHT
    })
    const all = hostStates.reduce((sum, state) => sum + byClass[name][state], 0)
    parts.push(...figures(column(states.length), top, all))
    top += height
  }
  parts.push(line(x, top, x + width, top, '#888888'), text(x, top + 18, 'all', { bold: true }))
  states.forEach((state, i) => parts.push(...figures(column(i) + SWATCH + 6, top, sumOf(state))))
  parts.push(text(column(states.length), top + 18, humanBytes(total * frameBytes)))
  return { svg: parts.join('\n'), width, height: top + ROW_HEIGHT - y }
}
