import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('..', import.meta.url))
const hook = fileURLToPath(new URL('./loaded-modules.mjs', import.meta.url))

/** What one call of the command line has loaded, in its main thread. */
export interface Loaded {
  readonly stdout: string
  /** Modules, relative to the folder of this app; a module of Node's is not among them. */
  readonly files: readonly string[]
  /** Public modules of Node's, such as `crypto`. */
  readonly builtins: readonly string[]
  /** Paths of native code. */
  readonly addons: readonly string[]
}

/** Calls the command line as its user does, and tells what it loads. Throws when it fails. */
export function loadedBy(args: readonly string[], env: Readonly<Record<string, string>> = {}): Loaded {
  const folder = mkdtempSync(join(tmpdir(), 'ullage-loaded-'))
  try {
    const file = join(folder, 'loaded.json')
    const stdout = execFileSync(process.execPath, ['--import', hook, join(cli, 'bin/ullage.js'), ...args], {
      env: { ...process.env, ULLAGE_STATE_DIR: folder, LOADED_MODULES: file, ...env },
      encoding: 'utf8',
    })
    const { urls, ...rest } = JSON.parse(readFileSync(file, 'utf8')) as Omit<Loaded, 'files'> & { urls: string[] }
    const files = urls.filter((url) => url.startsWith('file:')).map((url) => relative(cli, fileURLToPath(url)))
    return { ...rest, stdout, files: files.sort() }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
