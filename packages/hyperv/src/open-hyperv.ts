import type { OpenGuest } from '@ullage/offline-query'
import type { HypervSource, OpenHypervOptions } from './hyperv-source.ts'
import { openFiles } from './open-files.ts'
import { openSavedState } from './saved-state/open-saved-state.ts'

/** Opens a Hyper-V guest whose RAM is in files, or in a saved state. Throws OfflineError, or AbortError. */
export async function openHyperv(source: HypervSource, options: OpenHypervOptions): Promise<OpenGuest> {
  return source.kind === 'saved-state' ? openSavedState(source, options) : openFiles(source, options)
}
