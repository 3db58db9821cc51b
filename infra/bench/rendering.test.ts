import { expect, test } from 'vitest'
import { parseBenchOptions } from './bench-options.ts'
import type { Outcome } from './evaluate.ts'
import { FILTERS, keys, ROWS } from './goals.ts'
import { picture } from './picture.ts'
import { outcomesOf, type Results } from './results.ts'
import { markdown } from './table.ts'

const wholeFilter = FILTERS[0] as (typeof FILTERS)[number]

const results: Results = {
  schema: 'ullage.bench/1',
  date: '2026-01-02T03:04:05Z',
  command: 'npm run bench',
  rounds: 3,
  machine: {
    commit: 'abc',
    cpu: 'A&B <cpu>',
    cores: 2,
    memoryBytes: 2 ** 34,
    kernel: '6.1',
    node: '26',
    qemu: '7',
    makedumpfile: '1',
  },
  guest: null,
  load: ['1.00 2.00 3.00'],
  notes: [],
  samples: {
    [keys.whole]: [{ wallMs: 100, bytes: 10 }],
    [keys.elf]: [{ wallMs: 4000, bytes: 99 }],
    [keys.makedumpfile(wholeFilter)]: [{ wallMs: 1000, bytes: 10 }],
    [keys.kdumpZlib]: [{ wallMs: 2000, bytes: 20 }],
  },
}

test('the table has a line for every row that was measured, and says which goals are kept', () => {
  const lines = markdown(results, outcomesOf(results))
    .split('\n')
    .filter((line) => line.startsWith('|'))
  expect(lines).toHaveLength(4)
  expect(lines[2]).toMatch(
    /^\| whole job.*\| 100 ms \| 5\.00 s \| \*\*0\.020\*\* \| ≤ 0\.03 \| 1\.000, ≤ 1\.05 \| met \|$/,
  )
  expect(lines[3]).toMatch(/^\| the same \| QEMU kdump-zlib .*\| \*\*0\.050\*\* .*\| \*\*missed\*\* \|$/)
})

test('the picture has two bars for each row, the peer the same length always', () => {
  const outcomes = outcomesOf(results)
  const svg = picture(results, outcomes)
  const bars = [...svg.matchAll(/<rect x="360" y="[\d.]+" width="([\d.]+)" height="13"/g)].map(([, width]) => width)
  expect(bars).toEqual(['6.0', '300', '15.0', '300'])
  expect(svg).toContain('A&amp;B &lt;cpu>')
  const slow: Outcome = { ...(outcomes[0] as Outcome), ratio: 9 }
  expect(picture(results, [slow])).toContain('9.00 of theirs')
})

test('every row can be measured by some part of the benchmark and has a name of its own', () => {
  const names = ROWS.map(({ what, peer }) => `${what} ${peer}`)
  expect(new Set(names).size).toBe(names.length)
})

test('a call that cannot be is refused', () => {
  expect(parseBenchOptions([])).toMatchObject({ rounds: 5, keep: false, isQuick: false })
  expect([...parseBenchOptions(['--rows', 'whole,pause']).groups]).toEqual(['whole', 'pause'])
  const refused: [argv: string[], why: RegExp][] = [
    [['--rounds', '0'], /expected 1 or more/],
    [['--rows', 'whole,nothing'], /expected some of whole, .* found nothing/],
    [['--quick', '--keep'], /are not kept/],
    [['--fast'], /Unknown option/],
    [['left over'], /Unexpected argument/],
  ]
  for (const [argv, why] of refused) expect(() => parseBenchOptions(argv)).toThrow(why)
})
