import { type FrameCounts, guestClasses, hostStates } from '@ullage/dump'

/** The class × state matrix as text: rows that have frames, in frames, with sums. */
export function formatMatrix(frames: FrameCounts): string {
  const states = hostStates.filter((state) => guestClasses.some((name) => frames.byClass[name][state] > 0))
  const sum = (cells: readonly number[]) => cells.reduce((a, b) => a + b, 0)
  const rows = guestClasses
    .map((name) => [name, ...states.map((state) => frames.byClass[name][state])] as const)
    .filter(([, ...cells]) => sum(cells) > 0)
    .map(([name, ...cells]) => [name, ...cells.map(String), String(sum(cells))])
  const totals = states.map((state) => String(sum(guestClasses.map((name) => frames.byClass[name][state]))))
  const table = [['guest \\ host', ...states, 'frames'], ...rows, ['', ...totals, String(frames.total)]]
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)))
  return table
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
