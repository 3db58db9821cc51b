import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runLoudly } from './run-command.mjs'
import { say } from './say.mjs'
import { SetupError } from './setup-error.mjs'

/** Installs the npm packages, among them the Node this project runs on, unless they are those of the lockfile already. */
export async function ensureNpmPackages(root) {
  const why = whyStale(root)
  if (why === undefined) return say('npm packages: all there')
  say(`npm packages: installing (${why}); a minute or two`)
  // npm install takes the versions of the lockfile, as npm ci does. That one also refuses a lockfile without the optional
  // packages of every other platform, which a mirror of the registry may not have.
  const argv = ['npm', 'install', '--no-save', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
  // Not by the Node that this very command may replace.
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.endsWith('node_modules/.bin'))
  const status = await runLoudly(argv, { cwd: root, env: { ...process.env, PATH: path.join(delimiter) } })
  if (status !== 0) throw new SetupError(`npm install failed with status ${status}: its own words are above`)
  const still = whyStale(root)
  if (still !== undefined) throw new SetupError(`npm install ended well, and yet ${still}`)
}

/** Compares the lockfile with npm's own record of what it installed. */
export function whyStale(root) {
  if (!existsSync(join(root, 'node_modules/.bin/node'))) return 'they are not there yet'
  const installed = readPackages(join(root, 'node_modules/.package-lock.json'))
  const locked = readPackages(join(root, 'package-lock.json'))
  if (locked === undefined) return undefined
  if (installed === undefined) return 'npm has no record of what it installed'
  for (const [path, { version, optional, link }] of Object.entries(locked)) {
    if (!path.startsWith('node_modules/') || optional) continue
    const found = installed[path]
    if (found === undefined) return `${path} is missing`
    if (!link && found.version !== version) return `${path} is ${found.version}, the lockfile says ${version}`
  }
  return undefined
}

function readPackages(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined
}
