import type { OpenGuest } from '@ullage/offline-query'
import { openLive } from './live/open-live.ts'
import type { HypervSource, OpenHypervOptions } from './hyperv-source.ts'
import { openFiles } from './open-files.ts'
import { openSavedState } from './saved-state/open-saved-state.ts'

/** Opens a Hyper-V guest: a live one on QEMU, one whose RAM is in files, or one in a saved state. Throws OfflineError, or AbortError. */
export async function openHyperv(source: HypervSource, options: OpenHypervOptions): Promise<OpenGuest> {
  switch (source.kind) {
    case 'qmp':
      return openLive(source, options)
    case 'saved-state':
      return openSavedState(source, options)
    case 'files':
      return openFiles(source, options)
  }
}
