import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { findFiles } from './find-files.mjs'
import { tryRun } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'

/** What a guest of the lab needs beyond its kernel; a kernel may have any of them built in. */
const WANTED = ['virtio_pci', 'virtio_balloon', 'virtio_mem', 'qemu_fw_cfg']

/**
 * Decompresses the wanted modules and those they depend on from an unpacked package into `target`.
 * Returns their paths, each after those it depends on.
 */
export function collectModules(unpacked, target, wanted = WANTED) {
  mkdirSync(target, { recursive: true })
  const available = new Map()
  for (const path of findFiles(unpacked, /\.ko(\.xz|\.zst|\.gz)?$/)) available.set(moduleName(path), path)
  const collected = new Map()
  const collect = (name) => {
    const path = available.get(name)
    if (path === undefined || collected.has(name)) return
    const bytes = decompress(path)
    for (const dependency of dependencies(bytes)) collect(dependency)
    const file = join(target, `${name}.ko`)
    writeFileSync(file, bytes)
    collected.set(name, file)
  }
  wanted.forEach(collect)
  return [...collected.values()]
}

function moduleName(path) {
  return basename(path)
    .replace(/\.ko.*$/, '')
    .replaceAll('-', '_')
}

/** The module's own word, `depends=a,b` in its .modinfo section. */
function dependencies(bytes) {
  const start = bytes.indexOf('\0depends=') + '\0depends='.length
  if (start < '\0depends='.length) return []
  const text = bytes.toString('latin1', start, bytes.indexOf(0, start))
  return text
    .split(',')
    .filter(Boolean)
    .map((name) => name.replaceAll('-', '_'))
}

const PROGRAMS = new Map([
  ['.xz', 'xz'],
  ['.zst', 'zstd'],
  ['.gz', 'gzip'],
])

function decompress(path) {
  const program = PROGRAMS.get(/\.\w+$/.exec(path)[0])
  if (program === undefined) return readFileSync(path)
  const { status, stdout, words } = tryRun([program, '-dc', path], { encoding: 'buffer' })
  if (status !== 0) throw new SetupError(`${path} cannot be decompressed: ${words}`)
  return stdout
}
