import { join } from 'node:path'
import { runLoudly } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'

/** Bundles the command line, unless that was done of the sources as they are: as sources it takes long to start. */
export async function ensureCliBundle(root) {
  const node = join(root, 'node_modules/.bin/node')
  const build = join(root, 'apps/cli/build/main.ts')
  const status = await runLoudly([node, '--conditions=@ullage/source', build, '--unless-fresh'], { cwd: root })
  if (status !== 0) throw new SetupError('the command line could not be bundled: its own words are above')
}
