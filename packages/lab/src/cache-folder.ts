import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where set-up keeps kernels and readers (infra/setup/cache-folder.mjs has the same rule). */
export function cacheFolder(): string {
  const { ULLAGE_CACHE, XDG_CACHE_HOME } = process.env
  if (ULLAGE_CACHE) return ULLAGE_CACHE
  return join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'ullage')
}
