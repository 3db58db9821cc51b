import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { findFiles } from './find-files.mjs'
import { collectModules } from './kernel-modules.mjs'
import { tryRun } from './run-command.mjs'
import { megabytes, say } from './say.mjs'
import { SetupError } from './setup-error.mjs'
import { unpackPackage } from './unpack-package.mjs'

/** The suite whose Xen, and whose kernel for the first domain, the long tests run. */
export const XEN_SUITE = 'bookworm'

/** Names hypervisor, tools and kernel by what they depend on, whatever their versions are today. */
const META_PACKAGES = ['xen-system-amd64', 'linux-image-amd64']
const WANTED =
  /^(xen-(hypervisor-[\d.]+-amd64|utils-[\d.]+)|xenstore-utils|linux-image-[\d.]+-\d+-amd64|libxen\w+[\d.]*|libyajl2|libaio1|libnl-3-200|libnl-route-3-200|libuuid1|liblzma5|libzstd1|liblz4-1|zlib1g|libbz2-1\.0|libc6|libgcc-s1|libstdc\+\+6|libatomic1)$/

/** Not dependencies of those: xenstore-read and the like, and what Node needs to run beside them. */
const BESIDES = ['xenstore-utils', 'libc6', 'libgcc-s1', 'libstdc++6', 'libatomic1']
const PROGRAMS = ['xl', 'xenstored', 'xenconsoled', 'xen-init-dom0', 'libxl-save-helper', 'xenstore']
const MODULES = ['xen_privcmd', 'xen_evtchn', 'xen_gntdev', 'xen_gntalloc', 'xenfs', 'virtio_pci', '9pnet_virtio', '9p']

/**
 * Unpacks Xen, the kernel of its first domain and their programs and libraries, libc and its loader included:
 * `{ version, xen, vmlinuz, modules, loader, libraries, programs }`, paths all but the version. Nothing is installed.
 */
export async function unpackXenHost(apt, cache) {
  const packages = await wantedPackages(apt)
  const id = createHash('sha256')
    .update(packages.map(({ sha256 }) => sha256).join())
    .update(MODULES.join())
    .digest('hex')
    .slice(0, 16)
  const folder = join(cache, 'xen', id)
  if (!existsSync(folder)) {
    const size = packages.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    say(`Xen of ${XEN_SUITE}: ${packages.length} packages, ${megabytes(size)}`)
    await unpack(apt, packages, `${folder}.partial`)
    rmSync(folder, { recursive: true, force: true })
    renameSync(`${folder}.partial`, folder)
  }
  const utils = packages.find(({ name }) => name.startsWith('xen-utils-'))
  return described(folder, utils.version)
}

async function unpack(apt, packages, work) {
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  for (const found of packages) {
    const deb = await apt.download(found)
    const isKernel = found.name.startsWith('linux-image-')
    unpackPackage(deb, join(work, isKernel ? 'kernel' : 'root'))
  }
  const [vmlinuz] = findFiles(join(work, 'kernel'), /^vmlinuz-/)
  if (vmlinuz === undefined) throw new SetupError('the kernel package of the Xen host holds no vmlinuz')
  renameSync(vmlinuz, join(work, 'vmlinuz'))
  // Numbered, so that the order in which they can be loaded is not lost.
  collectModules(join(work, 'kernel'), join(work, 'modules'), MODULES).forEach((path, index) => {
    renameSync(path, join(work, 'modules', `${String(index).padStart(2, '0')}-${basename(path)}`))
  })
  rmSync(join(work, 'kernel'), { recursive: true })
}

/** The packages from the meta packages down to libc that are wanted; what they would configure or boot is not. */
async function wantedPackages(apt) {
  const found = new Map()
  const follow = async (names) => {
    for (const name of names) {
      if (found.has(name) || !WANTED.test(name)) continue
      const known = await apt.show(name)
      found.set(name, known)
      await follow(known.dependencies)
    }
  }
  for (const meta of META_PACKAGES) await follow((await apt.show(meta)).dependencies)
  await follow(BESIDES)
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

function described(folder, version) {
  const only = (pattern, what) => {
    const [path] = findFiles(folder, pattern)
    if (path === undefined) throw new SetupError(`the packages of Xen hold no ${what}`)
    return path
  }
  const loader = only(/^ld-linux-x86-64\.so\.2$/, 'loader')
  const libraries = join(folder, 'root/usr/lib/x86_64-linux-gnu')
  const system = join(folder, 'root/lib/x86_64-linux-gnu')
  const programs = PROGRAMS.map((name) => only(new RegExp(`^${name}$`), name))
  for (const program of programs) {
    const listed = tryRun([loader, '--library-path', `${libraries}:${system}`, '--list', program])
    if (listed.status === 0 && !listed.stdout.includes('not found')) continue
    const missing = /^.*not found.*$/m.exec(listed.stdout)?.[0].trim() ?? listed.words
    throw new SetupError(`${basename(program)} of Xen ${version} does not start: ${missing}`)
  }
  return {
    version,
    xen: only(/^xen-[\d.]+-amd64\.gz$/, 'hypervisor'),
    vmlinuz: join(folder, 'vmlinuz'),
    modules: findFiles(join(folder, 'modules'), /\.ko$/).sort(),
    loader,
    libraries: [libraries, system],
    programs,
  }
}

/** Whether everything the manifest says of the Xen host is still there. */
export function isXenHostComplete(host) {
  if (host === undefined || host.missing !== undefined) return false
  const { xen, vmlinuz, modules, loader, libraries, programs } = host
  return [xen, vmlinuz, loader, ...modules, ...libraries, ...programs].every((path) => existsSync(path))
}
