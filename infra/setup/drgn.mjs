import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { findFiles } from './find-files.mjs'
import { tryRun } from './run-command.mjs'
import { megabytes, say } from './say.mjs'
import { SetupError } from './setup-error.mjs'
import { unpackPackage } from './unpack-package.mjs'

/** What Python and drgn depend on and neither needs to open a dump. */
const NOT_NEEDED =
  /^(debconf|tzdata|media-types|netbase|openssl-provider|libssl|readline-common|libc-gconv|gcc-|libsqlite|libdb|python3$|libpython3-stdlib|python3-minimal)/

/**
 * The newest drgn with a Python of its own, unpacked from sid: the command line starts that Python, to which a script is
 * given. Throws SetupError when it cannot be had.
 */
export async function unpackDrgn(apt, cache) {
  const packages = []
  for (const name of await apt.closure(['python3-drgn'])) {
    if (!NOT_NEEDED.test(name)) packages.push(await apt.show(name))
  }
  const id = createHash('sha256')
    .update(packages.map(({ sha256 }) => sha256).join())
    .digest('hex')
    .slice(0, 16)
  const folder = join(cache, 'readers', `drgn-${id}`)
  if (!existsSync(folder)) {
    const size = packages.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    say(`newest drgn: ${packages.length} packages, ${megabytes(size)}`)
    const work = `${folder}.partial`
    rmSync(work, { recursive: true, force: true })
    mkdirSync(work, { recursive: true })
    for (const found of packages) {
      unpackPackage(await apt.download(found), work, ['*/bin/*', '*/lib/*', '*/lib64/*'])
    }
    renameSync(work, folder)
  }
  const argv = commandOf(folder)
  const { status, stdout, words } = tryRun([...argv, '-c', 'import drgn; print(drgn.__version__)'])
  if (status !== 0) throw new SetupError(`the drgn of sid does not start: ${words}`)
  return { version: stdout.trim(), argv }
}

function commandOf(folder) {
  const [loader] = findFiles(folder, /^ld-linux-x86-64\.so\.2$/)
  const [python] = findFiles(folder, /^python3\.\d+$/).filter((path) => path.includes('/bin/'))
  if (loader === undefined || python === undefined) throw new SetupError('the packages of drgn bring no Python')
  return [
    'env',
    `PYTHONHOME=${join(folder, 'usr')}`,
    `PYTHONPATH=${join(folder, 'usr/lib/python3/dist-packages')}`,
    'PYTHONDONTWRITEBYTECODE=1',
    loader,
    '--library-path',
    join(folder, 'usr/lib/x86_64-linux-gnu'),
    python,
  ]
}
