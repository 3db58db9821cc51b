import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where everything that set-up downloads is kept (packages/lab/src/cache-folder.ts has the same rule). */
export function cacheFolder() {
  const { ULLAGE_CACHE, XDG_CACHE_HOME } = process.env
  if (ULLAGE_CACHE) return ULLAGE_CACHE
  return join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'ullage')
}
