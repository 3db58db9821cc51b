import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { areArm64ErasComplete } from './arm64-kernels.mjs'
import { DEBUG_ERAS } from './debug-kernels.mjs'
import { ERAS, isEraComplete } from './kernels.mjs'
import { isHypervHostComplete } from './hyperv-host.mjs'
import { areReadersComplete } from './readers.mjs'
import { isXenHostComplete } from './xen-host.mjs'

/** Raised when what is unpacked, or what is said of it, changes: older caches are then unpacked anew. */
const FORMAT = 1

/** What the cache holds, as packages/lab reads it: `{ format, eras, readers, xen, hyperv }`, the last two only for the labs. */
export function readManifest(cache) {
  const path = join(cache, 'manifest.json')
  const empty = { format: FORMAT, eras: {}, readers: {} }
  if (!existsSync(path)) return empty
  try {
    const manifest = JSON.parse(readFileSync(path, 'utf8'))
    return manifest.format === FORMAT ? manifest : empty
  } catch {
    // A file that is not JSON says as little as none at all.
    return empty
  }
}

export function writeManifest(cache, manifest) {
  const partial = join(cache, 'manifest.json.partial')
  writeFileSync(partial, `${JSON.stringify(manifest, null, 2)}\n`)
  renameSync(partial, join(cache, 'manifest.json'))
}

/** Whether the cache holds every kernel, every reader and, where wanted, the debug symbols and the emulated hosts. */
export function isManifestComplete({ eras, readers, xen, hyperv }, { long, labs }) {
  if (!ERAS.every((name) => isEraComplete(eras[name])) || !areReadersComplete(readers)) return false
  if (!areArm64ErasComplete(eras, { long })) return false
  if (labs && !(isXenHostComplete(xen) && isHypervHostComplete(hyperv))) return false
  return !long || DEBUG_ERAS.every((name) => existsSync(eras[name].vmlinux ?? ''))
}
