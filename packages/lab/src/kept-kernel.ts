import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from './cache-folder.ts'
import { LabError } from './lab-error.ts'

/** The kernel with debug symbols of a kept guest whose kernel is no era's of today. Throws when set-up has not got it. */
export function requireKeptVmlinux(release: string): string {
  const path = join(cacheFolder(), 'kernels', 'kept', release, 'vmlinux')
  if (!existsSync(path)) {
    throw new LabError(`no vmlinux with debug symbols of ${release}: run npm run setup -- --long`)
  }
  return path
}
