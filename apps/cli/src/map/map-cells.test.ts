import { guestClasses, hostStates } from '@ullage/dump'
import { expect, test } from 'vitest'
import { MapCells } from './map-cells.ts'
import { COLUMNS, mapGrid } from './map-grid.ts'

const combination = { guestClass: guestClasses.indexOf('free'), hostState: hostStates.indexOf('backed'), fate: 0 }

test('small RAM: a cell is a frame; large RAM: a power of two', () => {
  expect(mapGrid([{ start: 0, count: COLUMNS }])).toMatchObject({ framesPerCell: 1, rows: 1 })
  const large = mapGrid([{ start: 0, count: 2 ** 28 }])
  expect(Math.log2(large.framesPerCell) % 1).toBe(0)
  expect(large.rows).toBeGreaterThan(16)
  expect(large.rows).toBeLessThanOrEqual(72)
})

test('far places are blocks of their own, near ones share rows', () => {
  const { blocks, rows } = mapGrid([
    { start: 0, count: 0xa0 },
    { start: 0xc0, count: 2 ** 15 },
    { start: 2 ** 20, count: 2 ** 15 },
  ])
  expect(blocks.length).toBe(2)
  expect(blocks.reduce((sum, block) => sum + block.rows, 0)).toBe(rows)
})

test('RAM in more places than rows still ends', () => {
  const scattered = Array.from({ length: 200 }, (_, i) => ({ start: i * 2 ** 30, count: 1 }))
  expect(mapGrid(scattered).rows).toBe(200)
})

test('every frame is counted in the cell it lies in', () => {
  const extents = [
    { start: 3, count: 5000 },
    { start: 2 ** 22, count: 70_000 },
  ]
  const grid = mapGrid(extents)
  const cells = new MapCells(grid)
  for (const extent of extents) cells.add({ ...extent, ...combination })
  let frames = 0
  for (let row = 0; row < grid.rows; row++) {
    for (let column = 0; column < COLUMNS; column++) frames += cells.at(row, column).reduce((a, b) => a + b, 0)
  }
  expect(frames).toBe(75_000)
  expect(cells.firstOf(combination.guestClass * hostStates.length + combination.hostState)).toBe(3)
  expect(() => new MapCells(grid).add({ start: 2 ** 30, count: 1, ...combination })).toThrow(/not in the grid/)
})

test('RAM in more places than a picture can have rows: neighbours share one', () => {
  const scattered = Array.from({ length: 3000 }, (_, i) => ({ start: i * 2 ** 21, count: 1 }))
  const grid = mapGrid(scattered)
  expect(grid.rows).toBeLessThanOrEqual(256)
  const cells = new MapCells(grid)
  for (const place of scattered) cells.add({ ...place, ...combination })
  const last = cells.at(grid.rows - 1, 0)
  expect(last[combination.guestClass * hostStates.length + combination.hostState]).toBeGreaterThan(0)
})
