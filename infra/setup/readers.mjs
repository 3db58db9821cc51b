import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { unpackDrgn } from './drgn.mjs'
import { findFiles } from './find-files.mjs'
import { hasCommand } from './machine-packages.mjs'
import { megabytes, say } from './say.mjs'
import { tryRun } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'
import { unpackPackage } from './unpack-package.mjs'

export const READERS = ['crash', 'makedumpfile']

/** Guests of the lab load kernels with it. Never installed: Debian's package would have this machine reboot by it. */
const KEXEC = 'kexec-tools'

/** Only scripts beside the readers need these. */
const NOT_NEEDED =
  /^(debconf|perl|libperl|binutils|libbinutils|libctf|libgprofng|libsframe|libjansson|libgdbm|libdb|libc-gconv|gcc-)/

/** The readers this machine has from its own distribution: `{ 'crash-machine': { version, argv } | { missing } }`. */
export function machineReaders() {
  return Object.fromEntries(
    READERS.map((name) => [
      `${name}-machine`,
      hasCommand(name)
        ? { version: readerVersion([name]), argv: [name] }
        : { missing: 'it is not installed on this machine' },
    ]),
  )
}

/** The newest readers, unpacked from sid with all the libraries they need, libc and its loader included. */
export async function unpackReaders(apt, cache) {
  const all = await apt.closure([...READERS, KEXEC])
  const few = all.filter((name) => !NOT_NEEDED.test(name))
  const readers = (await tryUnpack(apt, few, cache)) ?? (await tryUnpack(apt, all, cache)) ?? fail()
  return { ...readers, 'drgn-newest': await drgnOrWhyNot(apt, cache) }
}

async function drgnOrWhyNot(apt, cache) {
  try {
    return await unpackDrgn(apt, cache)
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    return { missing: error.message }
  }
}

function fail() {
  throw new SetupError('the programs of sid do not start, even with all the packages they depend on')
}

async function tryUnpack(apt, names, cache) {
  const packages = []
  for (const name of names) packages.push(await apt.show(name))
  const id = createHash('sha256')
    .update(packages.map(({ sha256 }) => sha256).join())
    .digest('hex')
    .slice(0, 16)
  const folder = join(cache, 'readers', id)
  if (!existsSync(folder)) {
    const size = packages.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    say(`newest crash, makedumpfile and kexec: ${packages.length} packages, ${megabytes(size)}`)
    const work = `${folder}.partial`
    rmSync(work, { recursive: true, force: true })
    mkdirSync(work, { recursive: true })
    for (const found of packages) {
      unpackPackage(await apt.download(found), work, ['*/bin/*', '*/sbin/*', '*/lib/*', '*/lib64/*'])
    }
    renameSync(work, folder)
  }
  const readers = [...READERS, 'kexec'].map((name) => [`${name}-newest`, startable(folder, name)])
  return readers.every(([, reader]) => reader !== undefined) ? Object.fromEntries(readers) : undefined
}

/** How to start a program of the folder by the folder's own loader; undefined when a library is missing. */
function startable(folder, name) {
  const [loader] = findFiles(folder, /^ld-linux-x86-64\.so\.2$/)
  const [program] = findFiles(folder, new RegExp(`^${name}$`)).filter((path) => /\/s?bin\//.test(path))
  if (loader === undefined || program === undefined) return undefined
  const argv = [loader, '--library-path', join(folder, 'usr/lib/x86_64-linux-gnu'), program]
  const listed = tryRun([loader, '--library-path', argv[2], '--list', program])
  if (listed.status !== 0 || listed.stdout.includes('not found')) return undefined
  return { version: readerVersion(argv), argv }
}

function readerVersion(argv) {
  // crash and kexec know --version, makedumpfile -v and the wrong word for the other is harmless.
  const words = ['--version', '-v'].map((word) => tryRun([...argv, word]).stdout).join('\n')
  return /\b\d+\.\d+\.\d+\S*/.exec(words)?.[0] ?? 'unknown'
}

/** Whether everything the manifest says of the readers is still there. */
export function areReadersComplete(readers) {
  return [...READERS, 'drgn', 'kexec'].every((name) => {
    const newest = readers?.[`${name}-newest`]
    return newest?.argv !== undefined && newest.argv.every((part) => !part.startsWith('/') || existsSync(part))
  })
}
