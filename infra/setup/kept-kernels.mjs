import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { unpackDebugPackage } from './debug-kernels.mjs'
import { megabytes, say, warn } from './say.mjs'

/** Kernels of guests whose memory is kept in packages/lab/fixtures and that are no era's of today, for crash. */
const KEPT_KERNELS = [{ suite: 'trixie', release: '6.12.107+deb13-cloud-amd64', version: '6.12.107-1' }]

const targetOf = (cache, { release }) => join(cache, 'kernels', 'kept', release, 'vmlinux')

/** Whether the debug symbols of every kept guest are there. */
export function areKeptKernelsThere(cache) {
  return KEPT_KERNELS.every((kernel) => existsSync(targetOf(cache, kernel)))
}

/** Gets the vmlinux with debug symbols of each kept guest's kernel. A suite forgets old kernels: then it says so. */
export async function unpackKeptKernels(apts, cache) {
  for (const kernel of KEPT_KERNELS) {
    if (existsSync(targetOf(cache, kernel))) continue
    try {
      const found = await apts.get(kernel.suite).show(`linux-image-${kernel.release}-dbg=${kernel.version}`)
      say(`debug symbols of ${kernel.release}: one file of the ${megabytes(found.sizeBytes)} package is kept`)
      await unpackDebugPackage(apts.get(kernel.suite), found, targetOf(cache, kernel))
    } catch (error) {
      warn(`no debug symbols of ${kernel.release}, long tests that need them will fail: ${error.message}`)
    }
  }
}
