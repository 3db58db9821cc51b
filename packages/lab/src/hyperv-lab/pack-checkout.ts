import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { LabError } from '../lab-error.ts'

const ROOT = join(import.meta.dirname, '../../../..')

/** The folder of the Node that runs the checkout. */
export const NODE_FOLDER = join(ROOT, 'node_modules/node/bin')

/** What the command line consists of: our sources, and the packages of others that they import. */
const PARTS = ['packages', 'apps/cli', ...['@ullage', '@koromix', 'koffi', 'zod'].map((name) => `node_modules/${name}`)]
const LEFT_OUT = ['dist', 'fixtures', 'test', '*.test.ts', '*.cjs.map', '*.d.ts', '*.d.cts']

/**
 * Packs what `ullage` consists of into a tar at `path`. In memory of an emulated host it starts in seconds; read file by
 * file through 9p, a minute and more.
 */
export function packCheckout(path: string): void {
  const leftOut = LEFT_OUT.map((pattern) => `--exclude=${pattern}`)
  const argv = ['--create', `--file=${path}`, `--directory=${ROOT}`, ...leftOut, ...PARTS]
  const { status, stderr } = spawnSync('tar', argv, { encoding: 'utf8' })
  if (status !== 0) throw new LabError(`tar could not pack the checkout: ${stderr.trim()}`)
}
