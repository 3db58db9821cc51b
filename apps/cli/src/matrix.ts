import { type FrameCounts, guestClasses, hostStates } from '@ullage/dump'
import { humanBytes, humanShare } from './human.ts'

/**
 * The class × state matrix as text: rows and columns that have frames, each cell a size and its share of guest RAM, with
 * sums.
 */
export function formatMatrix(frames: FrameCounts, frameBytes: number): string {
  const states = hostStates.filter((state) => guestClasses.some((name) => frames.byClass[name][state] > 0))
  const sum = (cells: readonly number[]) => cells.reduce((a, b) => a + b, 0)
  const cell = (count: number): string[] =>
    count === 0 ? ['-', ''] : [humanBytes(count * frameBytes), humanShare(count, frames.total)]
  const rows = guestClasses
    .map((name) => [name, states.map((state) => frames.byClass[name][state])] as const)
    .filter(([, counts]) => sum(counts) > 0)
    .map(([name, counts]) => [name, ...counts.flatMap(cell), ...cell(sum(counts)), String(sum(counts))])
  const totals = states.map((state) => sum(guestClasses.map((name) => frames.byClass[name][state])))
  const table = [
    ['guest \\ host', ...states.flatMap((state) => [state, '']), 'all', '', 'frames'],
    ...rows,
    ['', ...totals.flatMap(cell), ...cell(frames.total), String(frames.total)],
  ]
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)))
  return table
    .map((row) =>
      row
        .map((value, column) => (column === 0 ? value.padEnd(widths[0] ?? 0) : value.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
