import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findFiles } from './find-files.mjs'
import { megabytes, say } from './say.mjs'
import { SetupError } from './setup-error.mjs'
import { unpackPackage } from './unpack-package.mjs'

/** The eras whose dumps the long tests open with crash. */
export const DEBUG_ERAS = ['bookworm', 'trixie']

/** Whether the suite still has the debug symbols of the very kernel that was unpacked. */
export function hasDebugSymbols(apt, era) {
  return apt.has(`linux-image-${era.release}-dbg`, era.version)
}

/** Gets the vmlinux with debug symbols of an unpacked kernel; of the package, nothing else is kept. */
export async function unpackVmlinux(apt, suite, era, cache) {
  const target = join(cache, 'kernels', suite, era.version.replaceAll(':', '_'), 'vmlinux')
  if (existsSync(target)) return target
  const found = await apt.show(`linux-image-${era.release}-dbg`)
  say(`debug symbols of ${suite}: one file of the ${megabytes(found.sizeBytes)} package is kept`)
  await unpackDebugPackage(apt, found, target)
  return target
}

/** Puts the vmlinux of a -dbg package, as `apt.show` describes it, at `target`, whole or not at all. */
export async function unpackDebugPackage(apt, found, target) {
  const deb = await apt.download(found)
  const work = `${target}.partial`
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  unpackPackage(deb, work, ['*/vmlinux-*', '*/vmlinux'])
  const [vmlinux] = findFiles(work, /^vmlinux(-|$)/)
  if (vmlinux === undefined) throw new SetupError(`no vmlinux in ${found.name} ${found.version}`)
  mkdirSync(dirname(target), { recursive: true })
  renameSync(vmlinux, target)
  rmSync(work, { recursive: true })
  rmSync(deb)
}
