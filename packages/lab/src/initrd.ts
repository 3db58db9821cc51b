import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { cacheFolder } from './cache-folder.ts'
import { LabError } from './lab-error.ts'

/** One entry of an initial RAM disk, by its path from the root: a file of this machine, an executable text, a link. */
export type InitrdEntry = { readonly path: string } & (
  | { readonly from: string }
  | { readonly text: string }
  | { readonly link: string }
)

const EMPTY_FOLDERS = ['bin', 'proc', 'sys', 'dev', 'tmp']

/** Path of an initial RAM disk with these entries. Built once, kept under `name` and the hash of its content. */
export function cachedInitrd(name: string, entries: readonly InitrdEntry[]): string {
  const hash = createHash('sha256')
  for (const entry of entries) {
    hash.update(`${entry.path}\0`)
    hash.update('from' in entry ? readFileSync(entry.from) : 'text' in entry ? entry.text : entry.link)
  }
  const folder = join(cacheFolder(), 'initrd')
  const initrd = join(folder, `${name}-${hash.digest('hex').slice(0, 32)}.cpio`)
  if (!existsSync(initrd)) build(entries, folder, initrd)
  return initrd
}

function build(entries: readonly InitrdEntry[], folder: string, initrd: string): void {
  mkdirSync(folder, { recursive: true })
  const work = mkdtempSync(join(folder, 'work-'))
  try {
    const root = join(work, 'root')
    for (const empty of EMPTY_FOLDERS) mkdirSync(join(root, empty), { recursive: true })
    for (const entry of entries) {
      const path = join(root, entry.path)
      mkdirSync(dirname(path), { recursive: true })
      if ('from' in entry) copyFileSync(entry.from, path)
      else if ('text' in entry) writeFileSync(path, entry.text, { mode: 0o755 })
      else symlinkSync(entry.link, path)
    }
    const script = 'cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --reproducible --quiet > "$2"'
    const made = spawnSync('/bin/sh', ['-c', script, 'lab-initrd', root, join(work, 'initrd')], { encoding: 'utf8' })
    if (made.status !== 0) throw new LabError(`cpio could not build the guest's initrd: ${made.stderr.trim()}`)
    renameSync(join(work, 'initrd'), initrd)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
