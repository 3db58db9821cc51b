import type Koffi from 'koffi'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** The loaders of musl, whose addon is another. */
const MUSL: Partial<Record<string, string>> = { x64: '/lib/ld-musl-x86_64.so.1', arm64: '/lib/ld-musl-aarch64.so.1' }

let loaded: typeof Koffi | undefined

/** koffi, loaded when it is first needed: every thread loads it anew, and many a command calls nothing. */
export function koffi(): typeof Koffi {
  loaded ??= loadAddon() ?? (require('koffi') as typeof Koffi)
  return loaded
}

/**
 * The addon of koffi without the JavaScript before it, which looks for it in several places: that takes most of the time.
 * Undefined where it cannot be loaded like that.
 */
function loadAddon(): typeof Koffi | undefined {
  const { arch, platform } = process
  const musl = MUSL[arch]
  if (platform !== 'linux' || musl === undefined || existsSync(musl)) return undefined
  try {
    const fromKoffi = createRequire(require.resolve('koffi'))
    return fromKoffi(`@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`) as typeof Koffi
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'MODULE_NOT_FOUND' || code === 'ERR_DLOPEN_FAILED') return undefined
    throw error
  }
}
