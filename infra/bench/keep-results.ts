import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { picture } from './picture.ts'
import { keepBetween } from '../keep-between.ts'
import { ROWS } from './goals.ts'
import { outcomesOf, type Results, resultsText } from './results.ts'
import { markdown } from './table.ts'

const RESULTS = join(import.meta.dirname, 'results')
const README = join(import.meta.dirname, 'README.md')
/** Rounds below which medians say little. */
const FEWEST_ROUNDS = 5
/** Pixels of the PNG for one of the drawing. */
const SCALE = 2

/**
 * Replaces the kept results, their picture as SVG and PNG, and the table in the README. Throws for results that lack rows or
 * rounds.
 */
export async function keepResults(results: Results): Promise<void> {
  const outcomes = outcomesOf(results)
  if (outcomes.length < ROWS.length || results.rounds < FEWEST_ROUNDS) {
    throw new Error(
      `--keep: expected all ${ROWS.length} rows and at least ${FEWEST_ROUNDS} rounds, found ${outcomes.length} rows and ${results.rounds} rounds: the kept results stay as they are`,
    )
  }
  const svg = picture(results, outcomes)
  writeFileSync(join(RESULTS, 'bench.json'), resultsText(results))
  writeFileSync(join(RESULTS, 'bench.svg'), svg)
  writeFileSync(join(RESULTS, 'bench.png'), await asPng(svg))
  const image = '![Time of ours beside its peers](results/bench.svg)'
  const text = `${image}\n\n\`${results.command}\`\n\n${markdown(results, outcomes)}`
  keepBetween(README, 'npm run bench -- --keep', text)
}

async function asPng(svg: string): Promise<Uint8Array> {
  const { Resvg } = await import('@resvg/resvg-js')
  const require = createRequire(import.meta.url)
  // Letters of a font of our own: a server may have none.
  const fontFiles = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((name) =>
    require.resolve(`dejavu-fonts-ttf/ttf/${name}`),
  )
  const font = { fontFiles, loadSystemFonts: false, defaultFontFamily: 'DejaVu Sans' }
  return new Resvg(svg, { font, fitTo: { mode: 'zoom', value: SCALE } }).render().asPng()
}
