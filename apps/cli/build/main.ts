/** Makes `dist`, and says what it is. With `--unless-fresh` only where that is not there, or of other sources. */
import { isFresh } from '../bin/bundle-inputs.js'

const root = new URL('../../../', import.meta.url)
const bundle = new URL('../dist/main.js', import.meta.url)

if (!process.argv.includes('--unless-fresh') || !isFresh({ bundle, root, command: 'dump' })) {
  const { bundleCli } = await import('./bundle-cli.ts')
  const chunks = await bundleCli()
  const kib = chunks.reduce((sum, { code }) => sum + code.length, 0) / 1024
  process.stdout.write(`apps/cli/dist: ${chunks.length} files, ${kib.toFixed(0)} KiB\n`)
}
