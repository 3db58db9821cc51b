import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Group, GROUPS } from './goals.ts'

export const usage = `usage: npm run bench -- [--rounds N] [--rows ${GROUPS.join(',')}] [--quick] [--keep] [--show FILE]

  --rounds N   rounds of everything; 5 when left out (--quick: 1)
  --rows …     only these parts
  --quick      a small guest, for a look at the benchmark itself: its ratios are not those of the table
  --keep       also replaces the kept results, their picture and the table in the README
  --show FILE  measures nothing: prints the table of these results, and with --keep keeps them
`

export interface BenchOptions {
  readonly rounds: number
  readonly groups: ReadonlySet<Group>
  readonly isQuick: boolean
  readonly keep: boolean
  readonly show: string | undefined
}

/** Throws RangeError or TypeError for a call that cannot be. */
export function parseBenchOptions(argv: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rounds: { type: 'string' },
      rows: { type: 'string' },
      quick: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      show: { type: 'string' },
    },
  })
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5))
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new RangeError(`--rounds: expected 1 or more, found ${values.rounds}`)
  if (values.keep && values.quick) throw new RangeError('--keep: results of --quick are not kept')
  if (values.keep && values.rows !== undefined) throw new RangeError('--keep: expected all rows, found --rows')
  const groups = values.rows?.split(',').map((name) => {
    const group = GROUPS.find((known) => known === name)
    if (group === undefined) throw new RangeError(`--rows: expected some of ${GROUPS.join(', ')}, found ${name}`)
    return group
  })
  return {
    rounds,
    groups: new Set(groups ?? GROUPS),
    isQuick: values.quick,
    keep: values.keep,
    // npm runs scripts in the folder of package.json.
    show: values.show === undefined ? undefined : resolve(process.env['INIT_CWD'] ?? '.', values.show),
  }
}
