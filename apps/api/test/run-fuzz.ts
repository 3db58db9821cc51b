import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

/** `npm run fuzz -w @ullage/api -- --requests N [--seed N]`: every route, with requests of all kinds. */
const { values } = parseArgs({ options: { requests: { type: 'string', default: '100000' }, seed: { type: 'string' } } })
const requests = Number(values.requests)
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed)
if (!Number.isSafeInteger(requests) || requests < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('expected --requests with a number above 0, and --seed with a whole number\n')
  process.exit(2)
}
const { status } = spawnSync('npx', ['vitest', 'run', '--project', 'real', 'apps/api/test/fuzz.test.ts'], {
  cwd: new URL('../../..', import.meta.url),
  stdio: 'inherit',
  env: { ...process.env, ULLAGE_FUZZ_REQUESTS: String(requests), ULLAGE_FUZZ_SEED: String(seed) },
})
process.exit(status ?? 1)
