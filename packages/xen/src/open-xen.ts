import { resolve } from 'node:path'
import type { OpenGuest } from '@ullage/offline-query'
import { openCore } from './open-core.ts'
import { openSave } from './open-save.ts'
import type { OpenXenOptions, XenSource } from './xen-source.ts'

/**
 * Opens a Xen guest, PV, PVH or HVM, that `xl dump-core` or `xl save` has written to a file. Throws OfflineError, or
 * AbortError.
 */
export async function openXen(source: XenSource, options: OpenXenOptions): Promise<OpenGuest> {
  switch (source.kind) {
    case 'core':
      return openCore(resolve(options.baseDir, source.file), options)
    case 'save':
      return openSave(resolve(options.baseDir, source.file), options)
  }
}
