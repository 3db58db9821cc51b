import { resolve } from 'node:path'
import type { OpenGuest } from '@ullage/offline-query'
import { openCore } from './open-core.ts'
import { openSave } from './open-save.ts'
import type { OpenXenOptions, XenSource } from './xen-source.ts'

/**
 * Opens a Xen guest, PV, PVH or HVM: a live domain of this host, or one that `xl dump-core` or `xl save` has written to a
 * file. A live domain is locked on this host until it is disposed of. Throws OfflineError, or AbortError.
 */
export async function openXen(source: XenSource, options: OpenXenOptions): Promise<OpenGuest> {
  switch (source.kind) {
    case 'core':
      return openCore(resolve(options.baseDir, source.file), options)
    case 'save':
      return openSave(resolve(options.baseDir, source.file), options)
    case 'domain': {
      // Only where it is needed: it loads foreign calls.
      const { openDomain } = await import('./live/open-domain.ts')
      return openDomain(source, options)
    }
  }
}
