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
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { cacheFolder } from './cache-folder.ts'
import type { Era } from './era.ts'
import { GUEST_INIT } from './guest-init.ts'
import { LabError } from './lab-error.ts'

const BUSYBOX = '/bin/busybox'

/** The initial RAM disk of an era's guests: busybox, the modules, our init. Built once, kept under the hash of its content. */
export function guestInitrd(era: Era): string {
  const hash = createHash('sha256').update(GUEST_INIT)
  for (const file of [BUSYBOX, ...era.modules]) hash.update(basename(file)).update(readFileSync(file))
  const folder = join(cacheFolder(), 'initrd')
  const initrd = join(folder, `${era.name}-${hash.digest('hex').slice(0, 32)}.cpio`)
  if (!existsSync(initrd)) build(era, folder, initrd)
  return initrd
}

function build(era: Era, folder: string, initrd: string): void {
  mkdirSync(folder, { recursive: true })
  const work = mkdtempSync(join(folder, 'work-'))
  try {
    const root = join(work, 'root')
    for (const part of ['bin', 'lib/modules', 'proc', 'sys', 'dev', 'tmp'])
      mkdirSync(join(root, part), { recursive: true })
    copyFileSync(BUSYBOX, join(root, 'bin/busybox'))
    era.modules.forEach((module, index) => {
      copyFileSync(module, join(root, 'lib/modules', `${String(index).padStart(2, '0')}-${basename(module)}`))
    })
    writeFileSync(join(root, 'init'), GUEST_INIT, { mode: 0o755 })
    const script = 'cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --reproducible --quiet > "$2"'
    const made = spawnSync('/bin/sh', ['-c', script, 'lab-initrd', root, join(work, 'initrd')], { encoding: 'utf8' })
    if (made.status !== 0) throw new LabError(`cpio could not build the guest's initrd: ${made.stderr.trim()}`)
    renameSync(join(work, 'initrd'), initrd)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
