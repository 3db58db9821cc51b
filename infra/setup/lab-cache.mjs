import { existsSync } from 'node:fs'
import { fillArm64Eras } from './arm64-kernels.mjs'
import { DEBUG_ERAS, hasDebugSymbols, unpackVmlinux } from './debug-kernels.mjs'
import { areKeptKernelsThere, unpackKeptKernels } from './kept-kernels.mjs'
import { ERAS, isEraComplete, unpackKernel } from './kernels.mjs'
import { isHypervHostComplete, unpackHypervHost } from './hyperv-host.mjs'
import { isManifestComplete, readManifest, writeManifest } from './manifest.mjs'
import { PrivateApt } from './private-apt.mjs'
import { areReadersComplete, machineReaders, unpackReaders } from './readers.mjs'
import { say, warn } from './say.mjs'
import { isXenHostComplete, unpackXenHost, XEN_SUITE } from './xen-host.mjs'

/** Fills the cache with guest kernels and readers. What cannot be had is written into the manifest with its reason. */
export async function fillLabCache(cache, { long, labs, refresh }) {
  const manifest = readManifest(cache)
  if (!refresh && isManifestComplete(manifest, { long, labs }) && (!long || areKeptKernelsThere(cache))) {
    say('guest kernels and readers: all there')
  } else {
    const apts = new Map(ERAS.map((suite) => [suite, new PrivateApt(suite, cache)]))
    for (const suite of ERAS) {
      manifest.eras[suite] = await eraOf(apts.get(suite), suite, cache, manifest.eras[suite], { long, refresh })
      writeManifest(cache, manifest)
    }
    await fillArm64Eras(manifest.eras, cache, { long, refresh })
    writeManifest(cache, manifest)
    if (refresh || !areReadersComplete(manifest.readers)) manifest.readers = await newestReaders(apts.get('sid'), cache)
    if (labs && (refresh || !isXenHostComplete(manifest.xen)))
      manifest.xen = await xenHost(apts.get(XEN_SUITE), cache, manifest.xen)
    if (labs && (refresh || !isHypervHostComplete(manifest.hyperv)))
      manifest.hyperv = await hypervHost(apts, cache, manifest.hyperv)
    writeManifest(cache, manifest)
    if (long) await unpackKeptKernels(apts, cache)
    for (const apt of apts.values()) apt.forget()
  }
  const readers = { ...manifest.readers, ...machineReaders() }
  const changed = JSON.stringify(readers) !== JSON.stringify(manifest.readers)
  manifest.readers = readers
  if (changed) writeManifest(cache, manifest)
  return manifest
}

async function eraOf(apt, suite, cache, known, { long, refresh }) {
  const wantsVmlinux = long && DEBUG_ERAS.includes(suite)
  let era = known
  try {
    const stale =
      wantsVmlinux && isEraComplete(era) && !existsSync(era.vmlinux ?? '') && !(await hasDebugSymbols(apt, era))
    if (refresh || stale || !isEraComplete(era)) {
      say(`guest kernel of ${suite}`)
      const kernel = await unpackKernel(apt, suite, cache)
      era = kernel.version === era?.version && era.vmlinux ? { ...kernel, vmlinux: era.vmlinux } : kernel
      say(`  ${era.release}, ${era.modules.length} modules`)
    }
  } catch (error) {
    if (isEraComplete(known)) {
      warn(`the kernel of ${suite} could not be renewed, keeping ${known.release}: ${error.message}`)
      return known
    }
    return { missing: error.message }
  }
  if (!wantsVmlinux) return era
  try {
    return { ...era, vmlinux: await unpackVmlinux(apt, suite, era, cache) }
  } catch (error) {
    warn(`no debug symbols of ${suite}, long tests that need them will fail: ${error.message}`)
    return era
  }
}

async function newestReaders(apt, cache) {
  try {
    return await unpackReaders(apt, cache)
  } catch (error) {
    const missing = { missing: error.message }
    return { 'crash-newest': missing, 'makedumpfile-newest': missing, 'kexec-newest': missing }
  }
}

async function xenHost(apt, cache, known) {
  try {
    return await unpackXenHost(apt, cache)
  } catch (error) {
    warn(`Xen of ${XEN_SUITE} could not be had, npm run test:labs will fail: ${error.message}`)
    return isXenHostComplete(known) ? known : { missing: error.message }
  }
}

async function hypervHost(apts, cache, known) {
  try {
    return await unpackHypervHost(apts, cache)
  } catch (error) {
    warn(`a QEMU with hv-balloon could not be had, npm run test:labs will fail: ${error.message}`)
    return isHypervHostComplete(known) ? known : { missing: error.message }
  }
}
