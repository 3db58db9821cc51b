#!/usr/bin/env node
// Plain JavaScript that any Node can run, so that a Node too old for Ullage gets a sentence and not a syntax error.

const OLDEST_MAJOR = 24
const GROUP_OR_OTHERS_WRITE = 0o022

// Not imported: an import statement has Node load all that these could be asked for, streams and readline among it.
const { existsSync, mkdirSync, statSync } = process.getBuiltinModule?.('node:fs') ?? {}
const module = process.getBuiltinModule?.('node:module')

const bundle = new URL('../dist/main.js', import.meta.url)
const sources = new URL('../src/main.ts', import.meta.url)

if (Number(process.versions.node.split('.')[0]) < OLDEST_MAJOR) {
  const { runWithNewerNode } = await import('./run-with-newer-node.js')
  runWithNewerNode(OLDEST_MAJOR)
} else {
  keepCompiledCode()
  if (!existsSync(sources) || (await isBundleOfSources())) await import(bundle.href)
  else {
    // The sources run as they are: packages are found by their `@ullage/source` entry.
    module.registerHooks({
      resolve: (specifier, context, next) =>
        next(specifier, { ...context, conditions: [...context.conditions, '@ullage/source'] }),
    })
    await import(sources.href)
  }
}

/** In a checkout: whether the bundle says what the sources say now. `serve` starts processes from sources, so it is one. */
async function isBundleOfSources() {
  const command = process.argv[2]
  if (command === 'serve') return false
  const { isFresh } = await import('./bundle-inputs.js')
  return isFresh({ bundle, root: new URL('../../../', import.meta.url), command })
}

/**
 * Has V8 keep what it compiles, and Node what it strips of types, for the next run: in /var/cache for root, else in
 * the user's own cache folder. Where there is no such folder, or others could put code into it, nothing is kept.
 */
function keepCompiledCode() {
  const parent = cacheHome()
  const directory = parent && `${parent}/ullage-compiled`
  if (!directory || !(isOurs(directory) || (make(parent, directory) && isOurs(directory)))) return
  const { status } = module.enableCompileCache({ directory })
  // For the threads and processes that this one starts.
  if (status === module.constants.compileCacheStatus.ENABLED) process.env.NODE_COMPILE_CACHE = directory
}

function cacheHome() {
  if (process.geteuid() === 0) return '/var/cache'
  const { XDG_CACHE_HOME, HOME } = process.env
  if (XDG_CACHE_HOME?.startsWith('/')) return XDG_CACHE_HOME
  return HOME?.startsWith('/') ? `${HOME}/.cache` : undefined
}

/** Compiled code is run as it is found, so that nobody else may write it. */
function isOurs(directory) {
  const found = tryStat(directory)
  return found?.isDirectory() === true && found.uid === process.geteuid() && (found.mode & GROUP_OR_OTHERS_WRITE) === 0
}

/** Undefined where there is none, and where this user may not look. */
function tryStat(path) {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

/** False where it cannot be made. One folder at a time: Node's recursive mkdir does not return for a path below /proc. */
function make(parent, directory) {
  try {
    if (!existsSync(parent)) mkdirSync(parent, { mode: 0o700 })
    mkdirSync(directory, { mode: 0o700 })
    return true
  } catch {
    return false
  }
}
