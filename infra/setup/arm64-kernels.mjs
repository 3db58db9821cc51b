import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { unpackDebugPackage } from './debug-kernels.mjs'
import { findFiles } from './find-files.mjs'
import { isEraComplete, unpackKernel } from './kernels.mjs'
import { PrivateApt } from './private-apt.mjs'
import { megabytes, say, warn } from './say.mjs'
import { SetupError } from './setup-error.mjs'
import { unpackPackage } from './unpack-package.mjs'

const CLOUD = 'linux-image-cloud-arm64'

/** Kernels of arm64 guests: `long` ones for the long tests only; `debug` brings debug symbols for those. */
export const ARM64_ERAS = [
  { name: 'bookworm-arm64', suite: 'bookworm', image: CLOUD, long: true },
  { name: 'trixie-arm64', suite: 'trixie', image: CLOUD, debug: true },
  { name: 'trixie-arm64-16k', suite: 'trixie', image: 'linux-image-arm64-16k', long: true },
  { name: 'sid-arm64', suite: 'sid', image: CLOUD, long: true },
]

/** The suite that the guests' busybox is from. */
const BUSYBOX_SUITE = 'trixie'

const wanted = ({ long }) => ARM64_ERAS.filter((era) => long || !era.long)

/** Whether the cache holds every arm64 kernel that is wanted. */
export function areArm64ErasComplete(eras, { long }) {
  return wanted({ long }).every((era) => {
    const known = eras[era.name]
    return isComplete(known) && (!long || !era.debug || existsSync(known.vmlinux ?? ''))
  })
}

function isComplete(known) {
  return isEraComplete(known) && existsSync(known.busybox ?? '')
}

/** Writes into `eras` what could be had of the arm64 kernels, the others with their reason. */
export async function fillArm64Eras(eras, cache, { long, refresh }) {
  if (!refresh && areArm64ErasComplete(eras, { long })) return
  const apts = new Map()
  const aptOf = (suite) => {
    if (!apts.has(suite)) apts.set(suite, new PrivateApt(suite, cache, { architecture: 'arm64' }))
    return apts.get(suite)
  }
  for (const era of wanted({ long })) {
    const known = eras[era.name]
    try {
      const kernel = refresh || !isComplete(known) ? await unpackEra(era, aptOf, cache) : known
      const vmlinux = join(cache, 'kernels', era.name, kernel.version.replaceAll(':', '_'), 'vmlinux')
      if (long && era.debug && !existsSync(vmlinux)) await unpackSymbols(aptOf(era.suite), kernel, vmlinux)
      eras[era.name] = existsSync(vmlinux) ? { ...kernel, vmlinux } : kernel
    } catch (error) {
      warn(`${era.name} could not be had, tests with such a guest will fail: ${error.message}`)
      if (!isComplete(known)) eras[era.name] = { missing: error.message }
    }
  }
  for (const apt of apts.values()) apt.forget()
}

async function unpackEra({ name, suite, image }, aptOf, cache) {
  say(`guest kernel of ${name}`)
  const busybox = await unpackBusybox(aptOf(BUSYBOX_SUITE), cache)
  return { ...(await unpackKernel(aptOf(suite), name, cache, image)), busybox }
}

/** A static busybox for the guests: the machine's own is of another architecture. */
async function unpackBusybox(apt, cache) {
  const found = await apt.show('busybox-static')
  const target = join(cache, 'kernels', 'busybox-arm64', found.sha256.slice(0, 16), 'busybox')
  if (existsSync(target)) return target
  const work = `${target}.partial`
  rmSync(work, { recursive: true, force: true })
  unpackPackage(await apt.download(found), work, ['*/bin/busybox'])
  const [busybox] = findFiles(work, /^busybox$/)
  if (busybox === undefined) throw new SetupError(`no busybox in ${found.name} ${found.version}`)
  mkdirSync(join(target, '..'), { recursive: true })
  renameSync(busybox, target)
  rmSync(work, { recursive: true })
  return target
}

async function unpackSymbols(apt, { release, version }, target) {
  try {
    const found = await apt.show(`linux-image-${release}-dbg=${version}`)
    say(`debug symbols of ${release}: one file of the ${megabytes(found.sizeBytes)} package is kept`)
    await unpackDebugPackage(apt, found, target)
  } catch (error) {
    warn(`no debug symbols of ${release}, long tests that need them will fail: ${error.message}`)
  }
}
