import type { Outcome } from './evaluate.ts'
import { floorFields } from './floor-round.ts'
import { keys } from './goals.ts'
import type { Results } from './results.ts'
import { median, Samples } from './samples.ts'

const MIB = 2 ** 20
const HEAD = ['what', 'against', 'ours', 'theirs', 'ours / theirs', 'goal', 'bytes', '']

/** What was measured, on what, as Markdown. */
export function markdown(results: Results, outcomes: readonly Outcome[]): string {
  const { machine, guest, rounds, load, date, notes } = results
  const lines = [
    `${date.slice(0, 10)}, ${machine.commit === 'unknown' ? '' : `commit ${machine.commit}, `}${machine.cores} × ${machine.cpu}, ${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB, Linux ${machine.kernel}; Node ${machine.node}, QEMU ${machine.qemu}, makedumpfile ${machine.makedumpfile}; medians of ${rounds} interleaved ${rounds === 1 ? 'round' : 'rounds'}. Load averages: ${load.join(', ')}.`,
    '',
    ...(guest === null ? [] : [describeGuest(guest), '']),
    ...table(outcomes),
    ...floors(new Samples(results.samples)),
    ...(notes.length > 0 ? ['', ...notes.map((note) => `* ${note}`)] : []),
  ]
  return `${lines.join('\n')}\n`
}

function describeGuest(guest: NonNullable<Results['guest']>): string {
  const mib = (pages: number): string => ((pages * 4096) / MIB).toFixed(0)
  const real = guest.realBytes / (guest.realBytes + guest.madeBytes)
  return `The guest: Linux ${guest.kernel}, ${guest.memMiB} MiB with ${guest.balloonMiB} MiB in its balloon; the host backs ${mib(guest.backedPages)} MiB, ${mib(guest.nonZeroPages)} MiB are not zeros. lzo makes 1/${guest.lzoRatio.toFixed(2)} of those, ${(guest.duplicateShare * 100).toFixed(1)} % have the content of another. Of what was put there ${(real * 100).toFixed(0)} % are files of this machine, the rest is made.`
}

function table(outcomes: readonly Outcome[]): string[] {
  const rows = outcomes.map((row) => [
    row.what,
    row.peer,
    figure(row.ours, row.unit),
    figure(row.theirs, row.unit),
    `**${ratio(row.ratio)}**${range(row)}`,
    row.goal === null ? '' : `≤ ${row.goal}`,
    row.bytesRatio === null ? '' : `${row.bytesRatio.toFixed(3)}, ≤ ${row.bytesGoal}`,
    row.met === null ? '' : row.met ? 'met' : '**missed**',
  ])
  return [HEAD, HEAD.map((_, column) => (column < 2 ? '---' : '--:')), ...rows].map((row) => `| ${row.join(' | ')} |`)
}

/** What each part of the work takes by itself. */
function floors(samples: Samples): string[] {
  const found = floorFields.flatMap((part) => {
    const values = samples.values(keys.floor, part)
    return values ? [`${part} ${figure(median(values), 'ms/GiB')}`] : []
  })
  return found.length === 0 ? [] : ['', `Each part alone, in one thread: ${found.join(', ')}.`]
}

/** Of the rounds, where they differ. */
function range({ lowestRatio, highestRatio }: Outcome): string {
  return lowestRatio === highestRatio ? '' : ` (${ratio(lowestRatio)} to ${ratio(highestRatio)})`
}

/** Three figures are enough of anything measured here. */
function ratio(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(value < 1 ? 2 : 3)
}

export function figure(value: number, unit: Outcome['unit']): string {
  if (unit === 'bytes') return `${(value / MIB).toFixed(0)} MiB`
  const per = unit === 'ms/GiB' ? '/GiB' : ''
  if (value >= 1000) return `${(value / 1000).toFixed(value >= 100_000 ? 0 : 2)} s${per}`
  return `${value.toFixed(value < 10 ? 2 : 0)} ms${per}`
}
