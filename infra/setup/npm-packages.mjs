import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runLoudly } from './run-command.mjs'
import { say, warn } from './say.mjs'
import { SetupError } from './setup-error.mjs'

/** Installs the npm packages, among them the Node this project runs on, unless they are those of the lockfile already. */
export async function ensureNpmPackages(root) {
  const why = whyStale(root)
  if (why === undefined) return say('npm packages: all there')
  say(`npm packages: installing (${why}); a minute or two`)
  const exact = existsSync(join(root, 'package-lock.json'))
  if (!exact || (await npm(root, 'ci')) !== 0) {
    if (exact) warn('npm ci failed, its own words are above; trying npm install, which may choose other versions')
    const status = await npm(root, 'install')
    if (status !== 0) throw new SetupError(`npm install failed with status ${status}: its own words are above`)
  }
  const still = whyStale(root)
  if (still !== undefined) throw new SetupError(`npm ended well, and yet ${still}`)
}

function npm(root, command) {
  // Not by the Node that this very command may replace.
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.endsWith('node_modules/.bin'))
  const argv = ['npm', command, '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
  return runLoudly(argv, { cwd: root, env: { ...process.env, PATH: path.join(delimiter) } })
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
