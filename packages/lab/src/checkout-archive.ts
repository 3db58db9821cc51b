import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { z } from 'zod'
import { LabError } from './lab-error.ts'

const Manifest = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
})

/** Of the packages of this checkout: what runs, and what the bundle of the command line was made of. */
const OURS = ['package.json', 'src', 'test', 'bin', 'build']

/**
 * Writes an archive of the checkout as it is now, to be unpacked elsewhere: our packages from their sources, the command line
 * also as a bundle where there is one, and what they need of node_modules. Without Node itself, type declarations and
 * fixtures.
 */
export function writeCheckoutArchive(checkout: string, archive: string): void {
  const folders = globSync('{packages,apps}/*/package.json', { cwd: checkout }).map(dirname)
  const ours = folders.flatMap((folder) => OURS.map((part) => join(folder, part)))
  const needed = new Set<string>()
  for (const folder of folders) addNeeded(checkout, join(checkout, folder), needed)
  const files = ['package.json', 'node_modules/@ullage', 'apps/cli/dist', ...ours, ...needed]
  const there = files.filter((file) => existsSync(join(checkout, file)))
  const exclude = ['*.d.ts', '*.d.mts', '*.d.cts', '*.map', '*.test.ts'].map((pattern) => `--exclude=${pattern}`)
  const made = spawnSync('tar', ['-cf', archive, '-C', checkout, ...exclude, ...there], { encoding: 'utf8' })
  if (made.status !== 0) throw new LabError(`tar could not archive ${checkout}: ${made.stderr.trim()}`)
}

/** Adds the folders of other people's packages that the package in `folder` needs, by Node's way of finding them. */
function addNeeded(checkout: string, folder: string, needed: Set<string>): void {
  const { dependencies, optionalDependencies } = Manifest.parse(
    JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')),
  )
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const found = resolveFolder(checkout, folder, name)
    if (found === undefined) continue
    const path = relative(checkout, found)
    if (!path.split(sep).includes('node_modules') || needed.has(path)) continue
    needed.add(path)
    addNeeded(checkout, found, needed)
  }
}

function resolveFolder(checkout: string, from: string, name: string): string | undefined {
  for (let folder = from; folder.startsWith(checkout); folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name)
    if (existsSync(join(found, 'package.json'))) return realpathSync(found)
  }
  return undefined
}
