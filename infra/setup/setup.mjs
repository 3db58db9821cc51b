// Brings everything that the demo and the tests need. Plain JavaScript for the Node that the machine has: there are no
// packages yet when it starts.
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cacheFolder } from './cache-folder.mjs'
import { ensureCliBundle } from './cli-bundle.mjs'
import { areKeptKernelsThere } from './kept-kernels.mjs'
import { fillLabCache } from './lab-cache.mjs'
import { ensureMachinePackages, missingFromMachine } from './machine-packages.mjs'
import { isManifestComplete, readManifest } from './manifest.mjs'
import { ensureNpmPackages, whyStale } from './npm-packages.mjs'
import { ensurePromtool, hasPromtool } from './promtool.mjs'
import { reportManifest } from './report-manifest.mjs'
import { say } from './say.mjs'
import { SetupError } from './setup-error.mjs'
import { withLock } from './with-lock.mjs'

const USAGE = `usage: npm run setup -- [--long] [--labs] [--refresh]
  --long     also the kernels' debug symbols, for npm run test:long (some 1480 MB to download)
  --labs     also a Xen host and a QEMU with hv-balloon, for npm run test:labs (some 110 MB to download)
  --refresh  look again for newer guest kernels and readers
`

async function main() {
  const options = readOptions()
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const cache = cacheFolder()
  const complete =
    !options.refresh &&
    missingFromMachine().length === 0 &&
    hasPromtool(cache) &&
    whyStale(root) === undefined &&
    isManifestComplete(readManifest(cache), options) &&
    (!options.long || areKeptKernelsThere(cache))
  if (complete) {
    await ensureCliBundle(root)
    return say(`everything is there (guest kernels and readers in ${cache})`)
  }
  makeFolder(cache)
  await withLock(cache, async () => {
    await ensureMachinePackages()
    await ensureNpmPackages(root)
    await ensurePromtool(cache)
    reportManifest(await fillLabCache(cache, options), cache)
  })
  if (!existsSync(join(root, 'node_modules/.bin/node'))) throw new SetupError('the npm package node is not installed')
  await ensureCliBundle(root)
}

function makeFolder(cache) {
  try {
    mkdirSync(cache, { recursive: true })
    accessSync(cache, constants.W_OK)
  } catch (error) {
    throw new SetupError(`the cache folder ${cache} cannot be used: ${error.message}; name another one in ULLAGE_CACHE`)
  }
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        long: { type: 'boolean', default: false },
        labs: { type: 'boolean', default: false },
        refresh: { type: 'boolean', default: false },
      },
    })
    return values
  } catch (error) {
    throw new SetupError(`${error.message}\n${USAGE}`)
  }
}

try {
  await main()
} catch (error) {
  // What the file system or a program that cannot be started says is for the user; anything else is a fault of ours.
  if (!(error instanceof SetupError) && error?.syscall === undefined) throw error
  process.stderr.write(`set-up failed: ${error.message}\n`)
  process.exitCode = 1
}
