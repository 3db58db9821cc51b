import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { findFiles } from './find-files.mjs'
import { collectModules } from './kernel-modules.mjs'
import { SetupError } from './setup-error.mjs'
import { unpackPackage } from './unpack-package.mjs'

/** The suites whose kernels the guests of the lab run, oldest first. What a suite holds today is what it stands for. */
export const ERAS = ['bullseye', 'bookworm', 'trixie', 'sid']

const META_PACKAGE = 'linux-image-cloud-amd64'
const KERNEL_PARTS = /^linux-(image|binary|modules)-/
const MEMBERS = ['*/vmlinuz*', '*/virtio*.ko*', '*/qemu_fw_cfg.ko*', '*/balloon*.ko*']

/**
 * Unpacks the kernel a suite's meta package names today, into a folder of the era's: `{ release, version, vmlinuz, modules }`.
 * Newer suites split it into several packages; those whose names say that they hold a part are followed.
 */
export async function unpackKernel(apt, era, cache, metaPackage = META_PACKAGE) {
  const packages = await kernelPackages(apt, metaPackage)
  const image = packages.find(({ name }) => name.startsWith('linux-image-'))
  const folder = join(cache, 'kernels', era, image.version.replaceAll(':', '_'))
  const debs = []
  for (const part of packages) debs.push(await apt.download(part))
  const work = `${folder}.partial`
  rmSync(work, { recursive: true, force: true })
  for (const deb of debs) unpackPackage(deb, join(work, 'unpacked'), MEMBERS)
  const [vmlinuz] = findFiles(join(work, 'unpacked'), /^vmlinuz/)
  if (vmlinuz === undefined) throw new SetupError(`no vmlinuz in ${packages.map(({ name }) => name).join(', ')}`)
  const modules = collectModules(join(work, 'unpacked'), join(work, 'modules'))
  renameSync(vmlinuz, join(work, 'vmlinuz'))
  rmSync(join(work, 'unpacked'), { recursive: true })
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, '..'), { recursive: true })
  renameSync(work, folder)
  return {
    release: image.name.slice('linux-image-'.length),
    version: image.version,
    vmlinuz: join(folder, 'vmlinuz'),
    modules: modules.map((path) => join(folder, 'modules', basename(path))),
  }
}

/** The packages that hold parts of the kernel, found from the meta package. */
async function kernelPackages(apt, metaPackage) {
  const meta = await apt.show(metaPackage)
  const parts = new Map()
  const follow = async (names) => {
    for (const name of names) {
      if (!KERNEL_PARTS.test(name) || parts.has(name)) continue
      const part = await apt.show(name)
      parts.set(name, part)
      await follow(part.dependencies)
    }
  }
  await follow(meta.dependencies)
  const found = [...parts.values()]
  if (!found.some(({ name }) => name.startsWith('linux-image-'))) {
    throw new SetupError(`${metaPackage} ${meta.version} names no kernel package`)
  }
  return found
}

/** Whether everything the manifest says of an era is still there. */
export function isEraComplete(era) {
  return (
    era !== undefined && era.missing === undefined && [era.vmlinuz, ...era.modules].every((path) => existsSync(path))
  )
}
