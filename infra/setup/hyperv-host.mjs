import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { findFiles } from './find-files.mjs'
import { collectModules } from './kernel-modules.mjs'
import { tryRun } from './run-command.mjs'
import { megabytes, say } from './say.mjs'
import { SetupError } from './setup-error.mjs'
import { unpackPackage } from './unpack-package.mjs'

/** The suite whose QEMU is a Dynamic Memory host (8.2 and later), and whose kernel its guest runs. */
export const HYPERV_SUITE = 'trixie'

/** The suite whose kernel runs that QEMU, with KVM on an emulated AMD processor. */
export const HYPERV_HOST_SUITE = 'bookworm'

const PROGRAM = 'qemu-system-x86_64'

/** QEMU, and what Node needs to run beside it. */
const PROGRAMS = ['qemu-system-x86', 'libstdc++6', 'libatomic1']
const MEMBERS = ['*/bin/*', '*/lib/*', '*/lib64/*', '*/share/qemu/*', '*/share/seabios/*']

/** Only an installed system needs these. */
const NOT_NEEDED =
  /^(debconf|adduser|passwd|login\.defs|base-passwd|libpam|libsemanage|libsepol|libdb5|libasound2-data)/

const HOST_MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'kvm_amd']
const GUEST_MODULES = ['qemu_fw_cfg', 'hv_vmbus', 'hv_balloon']

/**
 * Unpacks a QEMU with hv-balloon, the kernel of its host and that of its guest: `{ version, root, vmlinuz, modules,
 * guest: { release, vmlinuz, modules } }`; `root` is a folder with QEMU and every library it and Node need. Nothing is
 * installed. `apts` has a PrivateApt for each suite.
 */
export async function unpackHypervHost(apts, cache) {
  const apt = apts.get(HYPERV_SUITE)
  const programs = await wantedPrograms(apt)
  const host = await imageOf(apts.get(HYPERV_HOST_SUITE), 'linux-image-amd64')
  const guest = await imageOf(apt, 'linux-image-cloud-amd64')
  const id = createHash('sha256')
    .update([...programs, host, guest].map(({ sha256 }) => sha256).join())
    .update([...MEMBERS, ...HOST_MODULES, ...GUEST_MODULES].join())
    .digest('hex')
    .slice(0, 16)
  const folder = join(cache, 'hyperv', id)
  if (!existsSync(folder)) {
    const size = programs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    say(`QEMU of ${HYPERV_SUITE}: ${programs.length} packages, ${megabytes(size)}`)
    const work = `${folder}.partial`
    rmSync(work, { recursive: true, force: true })
    mkdirSync(work, { recursive: true })
    for (const found of programs) unpackPackage(await apt.download(found), join(work, 'root'), MEMBERS)
    unpackKernel(await apts.get(HYPERV_HOST_SUITE).download(host), join(work, 'host'), HOST_MODULES)
    unpackKernel(await apt.download(guest), join(work, 'guest'), GUEST_MODULES)
    rmSync(folder, { recursive: true, force: true })
    renameSync(work, folder)
  }
  const qemu = programs.find(({ name }) => name === PROGRAMS[0])
  checkStarts(join(folder, 'root'))
  return {
    version: qemu.version,
    root: join(folder, 'root'),
    ...kernelIn(join(folder, 'host')),
    guest: { release: guest.name.slice('linux-image-'.length), ...kernelIn(join(folder, 'guest')) },
  }
}

async function wantedPrograms(apt) {
  const packages = []
  for (const name of await apt.closure(PROGRAMS)) if (!NOT_NEEDED.test(name)) packages.push(await apt.show(name))
  return packages
}

/** The kernel package that a meta package names today. */
async function imageOf(apt, meta) {
  const { dependencies, version } = await apt.show(meta)
  const name = dependencies.find((dependency) => dependency.startsWith('linux-image-'))
  if (name === undefined) throw new SetupError(`${meta} ${version} names no kernel package`)
  return apt.show(name)
}

function unpackKernel(deb, folder, modules) {
  const unpacked = join(folder, 'unpacked')
  unpackPackage(deb, unpacked, ['*/vmlinuz-*', '*.ko', '*.ko.*'])
  const [vmlinuz] = findFiles(unpacked, /^vmlinuz-/)
  if (vmlinuz === undefined) throw new SetupError(`${basename(deb)} holds no vmlinuz`)
  renameSync(vmlinuz, join(folder, 'vmlinuz'))
  // Numbered, so that the order in which they can be loaded is not lost.
  collectModules(unpacked, join(folder, 'modules'), modules).forEach((path, index) => {
    renameSync(path, join(folder, 'modules', `${String(index).padStart(2, '0')}-${basename(path)}`))
  })
  rmSync(unpacked, { recursive: true })
}

function kernelIn(folder) {
  return {
    vmlinuz: join(folder, 'vmlinuz'),
    modules: findFiles(join(folder, 'modules'), /\.ko$/).sort(),
  }
}

function checkStarts(root) {
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu')
  const loader = join(libraries, 'ld-linux-x86-64.so.2')
  // Not all devices: QEMU would load modules of this machine's own for them.
  const { status, stdout, words } = tryRun([
    loader,
    '--library-path',
    libraries,
    join(root, 'usr/bin', PROGRAM),
    '-device',
    'hv-balloon,help',
  ])
  if (status === 0 && stdout.includes('memdev')) return
  throw new SetupError(`the QEMU of ${HYPERV_SUITE} does not start, or has no hv-balloon: ${words}`)
}

/** Whether everything the manifest says of the QEMU with hv-balloon is still there. */
export function isHypervHostComplete(host) {
  if (host === undefined || host.missing !== undefined) return false
  const { root, vmlinuz, modules, guest } = host
  const paths = [join(root, 'usr/bin', PROGRAM), vmlinuz, ...modules, guest.vmlinuz, ...guest.modules]
  return paths.every((path) => existsSync(path))
}
