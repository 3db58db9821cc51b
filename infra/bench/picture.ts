import type { Outcome } from './evaluate.ts'
import type { Results } from './results.ts'
import { figure } from './table.ts'

const WIDTH = 1060
const MARGIN = 28
/** Where bars begin, and how long the peer's is. */
const BARS_AT = 360
const PEER_WIDTH = 300
/** Ours is drawn to so many times the peer's; what is longer is cut, and says so. */
const MOST = 1.6
const BAR = 13
const ROW = 52
const HEAD = 96
const FOOT = 46

const INK = '#1f2328'
const FAINT = '#656d76'
const OURS = '#0b7285'
const MISSED = '#c2410c'
const THEIRS = '#c9ced6'
const GOAL = '#1f2328'
const FONT = 'font-family="\'DejaVu Sans\', Verdana, sans-serif"'

/** The table as bars: of each row the peer's has the same length, and a tick shows what ours may have at most. */
export function picture(results: Results, outcomes: readonly Outcome[]): string {
  const rows = outcomes.filter((row) => row.picture !== null)
  const height = HEAD + rows.length * ROW + FOOT
  const { machine, date, rounds } = results
  const about = `${date.slice(0, 10)} · ${machine.cores} × ${machine.cpu} · makedumpfile ${machine.makedumpfile}, QEMU ${machine.qemu}, Node ${machine.node} · medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ${FONT}>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text({ x: MARGIN, y: 40, size: 20, weight: 'bold', fill: INK }, 'Ullage beside makedumpfile and QEMU'),
    text({ x: MARGIN, y: 62, size: 12, fill: FAINT }, 'time on the same guest memory; shorter is better'),
    legend(),
    ...rows.map((row, i) => drawRow(row, HEAD + i * ROW)),
    text({ x: MARGIN, y: height - 18, size: 10.5, fill: FAINT }, about),
    '</svg>',
    '',
  ].join('\n')
}

function legend(): string {
  const y = 53
  const entry = (x: number, fill: string, label: string): string =>
    `<rect x="${x}" y="${y}" width="11" height="11" rx="2" fill="${fill}"/>${text({ x: x + 17, y: y + 10, size: 12, fill: INK }, label)}`
  return [
    entry(BARS_AT, OURS, 'ours'),
    entry(BARS_AT + 74, MISSED, 'ours, above its goal'),
    entry(BARS_AT + 244, THEIRS, 'theirs'),
    `<rect x="${BARS_AT + 326}" y="${y - 2}" width="2" height="15" fill="${GOAL}"/>`,
    text({ x: BARS_AT + 336, y: y + 10, size: 12, fill: INK }, 'goal'),
  ].join('')
}

function drawRow(row: Outcome, top: number): string {
  const drawn = Math.min(row.ratio, MOST) * PEER_WIDTH
  const isCut = row.ratio > MOST
  const fill = row.goal !== null && row.ratio > row.goal ? MISSED : OURS
  const y = top + 8
  const end = BARS_AT + drawn
  // The tick of the goal stands over the bar: the label keeps clear of both.
  const goalAt = row.goal === null ? undefined : BARS_AT + row.goal * PEER_WIDTH
  const labelAt = Math.max(end, goalAt === undefined ? 0 : goalAt) + 8
  return [
    text({ x: BARS_AT - 14, y: y + 10.5, size: 12.5, fill: INK, anchor: 'end' }, row.picture ?? row.what),
    text({ x: BARS_AT - 14, y: y + BAR + 14, size: 10.5, fill: FAINT, anchor: 'end' }, row.peer),
    `<rect x="${BARS_AT}" y="${y}" width="${Math.max(1.5, drawn).toFixed(1)}" height="${BAR}" rx="2" fill="${fill}"/>`,
    ...(isCut ? [`<path d="M${end - 9} ${y - 1}l5 ${BAR + 2}h4l-5 -${BAR + 2}z" fill="#ffffff"/>`] : []),
    `<rect x="${BARS_AT}" y="${y + BAR + 3}" width="${PEER_WIDTH}" height="${BAR}" rx="2" fill="${THEIRS}"/>`,
    ...(goalAt === undefined
      ? []
      : [`<rect x="${(goalAt - 1).toFixed(1)}" y="${y - 3}" width="2" height="${BAR + 6}" fill="${GOAL}"/>`]),
    text(
      { x: labelAt, y: y + 10.5, size: 11.5, weight: 'bold', fill },
      `${figure(row.ours, row.unit)} · ${shortRatio(row.ratio)} of theirs`,
    ),
    text({ x: BARS_AT + PEER_WIDTH + 8, y: y + BAR + 14, size: 11.5, fill: FAINT }, figure(row.theirs, row.unit)),
  ].join('\n')
}

function shortRatio(ratio: number): string {
  return ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(ratio < 0.1 ? 3 : 2)
}

interface TextOptions {
  readonly x: number
  readonly y: number
  readonly size: number
  readonly fill: string
  readonly weight?: 'bold'
  readonly anchor?: 'end'
}

function text({ x, y, size, fill, weight, anchor }: TextOptions, content: string): string {
  const style = `${weight === undefined ? '' : ` font-weight="${weight}"`}${anchor === undefined ? '' : ` text-anchor="${anchor}"`}`
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x}" y="${y}" font-size="${size}" fill="${fill}"${style}>${escaped}</text>`
}
