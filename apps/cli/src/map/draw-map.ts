import type { FrameCounts } from '@ullage/dump'
import { endOf, intersect, type PfnRange } from '@ullage/pages'
import { humanBytes } from '../human.ts'
import { CELL, drawCells } from './draw-cells.ts'
import { drawLegend } from './draw-legend.ts'
import type { MapCells } from './map-cells.ts'
import { COLUMNS, type MapBlock } from './map-grid.ts'
import { line, text } from './svg.ts'

const MARGIN = 32
const ADDRESS_WIDTH = 128
const SECTION_WIDTH = 120
const HEADER = 92
const BLOCK_HEADER = 30
const ROW = CELL.height + CELL.gap
const GRID_WIDTH = COLUMNS * CELL.width
/** Regions that a heading names. */
const MAX_NAMED = 6

export interface NamedRange extends PfnRange {
  readonly name: string
}

/** What a picture of a guest's memory says besides its cells. */
export interface MapAbout {
  readonly title: string
  /** One line each, under the title. */
  readonly subtitles: readonly string[]
  readonly frameBytes: number
  readonly frames: FrameCounts
  readonly extents: readonly NamedRange[]
  /** Frames in one memory section of the guest's kernel; undefined where its word cannot be had. */
  readonly sectionFrames: number | undefined
}

/**
 * The guest's memory as a picture, in SVG: addresses from left to right and downwards, a colour for each class, a shade for
 * each host state, the matrix as legend, RAM regions and memory sections marked.
 */
export function drawMap(cells: MapCells, about: MapAbout): string {
  const { grid } = cells
  const blockTops: number[] = []
  let y = MARGIN + HEADER
  for (const block of grid.blocks) {
    y += BLOCK_HEADER
    blockTops.push(y - block.firstRow * ROW)
    y += block.rows * ROW + 6
  }
  const gridX = MARGIN + ADDRESS_WIDTH
  const tops = grid.blocks.flatMap((block, i) =>
    Array.from({ length: block.rows }, (_, row) => (blockTops[i] as number) + (block.firstRow + row) * ROW),
  )
  const yOf = (row: number): number => tops[row] as number
  const legendX = gridX + GRID_WIDTH + SECTION_WIDTH + 24
  const legendY = MARGIN + HEADER + 20
  const { frameBytes } = about
  const legend = drawLegend(about, cells, { x: legendX, y: legendY })
  const help = explain(cells, about)
  const helpY = legendY + legend.height + 34
  const width = legendX + legend.width + MARGIN
  const height = Math.max(y, helpY + help.length * 18) + MARGIN
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="DejaVu Sans, Verdana, sans-serif">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    text(MARGIN, MARGIN + 20, about.title, { size: 22, bold: true }),
    ...about.subtitles.map((subtitle, i) =>
      text(MARGIN, MARGIN + 44 + i * 19, subtitle, { size: 13, fill: '#444444' }),
    ),
    `<g shape-rendering="crispEdges" stroke-width="1">`,
    drawCells(cells, { x: gridX, yOf }),
    ...grid.blocks.flatMap((block) => frameRows(block, grid.framesPerCell, { extents: about.extents, gridX, yOf })),
    '</g>',
    ...grid.blocks.flatMap((block) => [
      heading(block, grid.framesPerCell, { about, x: gridX, y: yOf(block.firstRow) - 10 }),
      ...addresses(block, grid.framesPerCell, { frameBytes, x: gridX - 10, yOf }),
      ...sections(block, grid.framesPerCell, { about, x: gridX + GRID_WIDTH + 8, gridX, yOf }),
    ]),
    legend.svg,
    ...help.map((sentence, i) => text(legendX, helpY + i * 18, sentence, { size: 12, fill: '#444444' })),
    '</svg>',
    '',
  ].join('\n')
}

function explain({ grid }: MapCells, { frameBytes, sectionFrames, frames }: MapAbout): string[] {
  const hasUnknown = Object.values(frames.byClass).some(({ unknown }) => unknown > 0)
  const { framesPerCell } = grid
  const size = humanBytes(framesPerCell * frameBytes)
  const row = humanBytes(framesPerCell * COLUMNS * frameBytes)
  const section = sectionFrames === undefined ? undefined : humanBytes(sectionFrames * frameBytes)
  const cell =
    framesPerCell === 1
      ? [`A cell is one frame of ${size}; a row is ${row}.`]
      : [
          `A cell is ${framesPerCell} frames, ${size}; a row is ${row}.`,
          'What lies in a cell shares its height, whatever its order inside.',
          `Nothing in it gets less than a pixel or two: what is rare looks larger than it is.`,
        ]
  return [
    ...cell,
    'Dark: the host has memory for it. Pale: it has none. Blank: no guest RAM.',
    ...(hasUnknown ? ['Half-pale: it is not known, or was not asked, whether the host has memory for it.'] : []),
    ...(section === undefined ? [] : [`A section, ${section}, is the unit in which the guest's kernel knows memory.`]),
  ]
}

/** A thin line around the cells of each row that are guest RAM, so that pale cells are seen to be there. */
function frameRows(
  block: MapBlock,
  framesPerCell: number,
  { extents, gridX, yOf }: { extents: readonly NamedRange[]; gridX: number; yOf: (row: number) => number },
): string[] {
  const rowFrames = framesPerCell * COLUMNS
  return Array.from({ length: block.rows }, (_, i) => {
    const row = { start: block.start + i * rowFrames, count: rowFrames }
    const top = yOf(block.firstRow + i)
    return extents.flatMap((extent) => {
      const part = intersect(extent, row)
      if (!part) return []
      const x = gridX + Math.floor((part.start - row.start) / framesPerCell) * CELL.width
      const right = gridX + Math.ceil((endOf(part) - row.start) / framesPerCell) * CELL.width
      const begins = part.start === extent.start ? [line(x, top - 2, x, top + CELL.height + 2, '#000000')] : []
      return [line(x, top + CELL.height, right, top + CELL.height, '#999999'), ...begins]
    })
  }).flat()
}

function hex(frames: number, frameBytes: number): string {
  return `0x${(BigInt(frames) * BigInt(frameBytes)).toString(16)}`
}

function heading(
  block: MapBlock,
  framesPerCell: number,
  { about, x, y }: { about: MapAbout; x: number; y: number },
): string {
  const range = { start: block.start, count: block.rows * COLUMNS * framesPerCell }
  const named = regionsOf(about.extents.filter((extent) => intersect(extent, range)))
  const shown = named.slice(0, MAX_NAMED).map(({ name, start, end, count }) => {
    const place = `${hex(start, about.frameBytes)} – ${hex(end, about.frameBytes)}`
    return `${name}, ${place}, ${humanBytes(count * about.frameBytes)}`
  })
  const more = named.length > MAX_NAMED ? [`and ${named.length - MAX_NAMED} more`] : []
  return text(x, y, [...shown, ...more].join(' · '), { bold: true, size: 13 })
}

/** Extents of one name as one region, from its first frame to its last: firmware cuts RAM below 1 MiB into many. */
function regionsOf(extents: readonly NamedRange[]): { name: string; start: number; end: number; count: number }[] {
  const regions = new Map<string, { name: string; start: number; end: number; count: number }>()
  for (const extent of extents) {
    const { name, start, count } = extent
    const region = regions.get(name) ?? { name, start, end: start, count: 0 }
    regions.set(name, { ...region, end: endOf(extent), count: region.count + count })
  }
  return [...regions.values()]
}

/** The address of every eighth row, and of the first of a block. */
function addresses(
  block: MapBlock,
  framesPerCell: number,
  { frameBytes, x, yOf }: { frameBytes: number; x: number; yOf: (row: number) => number },
): string[] {
  return Array.from({ length: block.rows }, (_, row) => row)
    .filter((row) => row % 8 === 0)
    .map((row) => {
      const address = hex(block.start + row * COLUMNS * framesPerCell, frameBytes)
      return text(x, yOf(block.firstRow + row) + CELL.height - 4, address, { anchor: 'end', size: 11, fill: '#444444' })
    })
}

/** Where sections begin: a line across the grid where rows are shorter than they, else the numbers of a row's sections. */
function sections(
  block: MapBlock,
  framesPerCell: number,
  options: { about: MapAbout; x: number; gridX: number; yOf: (row: number) => number },
): string[] {
  const { about, x, gridX, yOf } = options
  const { sectionFrames } = about
  if (sectionFrames === undefined) return []
  const rowFrames = framesPerCell * COLUMNS
  const label = (row: number, content: string): string =>
    text(x, yOf(block.firstRow + row) + CELL.height - 4, content, { size: 11, fill: '#444444' })
  const marks: string[] = []
  for (let row = 0; row < block.rows; row++) {
    const start = block.start + row * rowFrames
    if (rowFrames >= sectionFrames) {
      const first = start / sectionFrames
      const last = first + rowFrames / sectionFrames - 1
      if (row % 8 === 0) marks.push(label(row, first === last ? `section ${first}` : `sections ${first}–${last}`))
    } else if (row === 0 || start % sectionFrames === 0) {
      marks.push(label(row, `section ${Math.floor(start / sectionFrames)}`))
      const y = yOf(block.firstRow + row) - 2
      if (row > 0) marks.push(line(gridX - 6, y, x + SECTION_WIDTH - 30, y, '#444444'))
    }
  }
  return marks
}
